import type { EventView, FollowEventsRequest } from '@fenceline/protocol';
import type { Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import { eventView, listEvents } from './queries/events.js';

const BATCH = 500;

/**
 * Events from now on, or from the one behind `after`, each once and in the order of their ids,
 * until the signal fires. What a caller hasn't read yet stays in the database, not in memory: a
 * new event only wakes the reading.
 */
export async function* followEvents(
  { store, events }: { store: Store; events: Events },
  request: FollowEventsRequest,
  signal: AbortSignal,
): AsyncGenerator<EventView> {
  let wake: (() => void) | undefined;
  let woken = false;
  const ring = (): void => {
    woken = true;
    wake?.();
  };
  const stopListening = events.listen(ring);
  signal.addEventListener('abort', ring);
  try {
    let after = request.after ?? (await lastEventId(store));
    while (!signal.aborted) {
      woken = false;
      const page = await listEvents(store.db, { ...filterOf(request), after, limit: BATCH });
      for (const event of page.items) {
        yield event;
        after = event.id;
      }
      if (page.items.length < BATCH && !woken)
        await new Promise<void>((resolve) => {
          wake = resolve;
          // It may have rung between the question and here.
          if (woken || signal.aborted) resolve();
        });
    }
  } finally {
    stopListening();
    signal.removeEventListener('abort', ring);
  }
}

function filterOf({ taskUuid }: FollowEventsRequest): { taskUuid?: string } {
  return taskUuid === undefined ? {} : { taskUuid };
}

async function lastEventId(store: Store): Promise<number> {
  const row = await store.db
    .selectFrom('events')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? 0 : eventView(row).id;
}
