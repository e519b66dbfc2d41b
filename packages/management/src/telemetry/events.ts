import { isoNow, type Clock, type Logger } from '@fenceline/common';
import type { EventKind } from '@fenceline/protocol';
import type { EventsTable, Severity } from '../store/schema.js';
import type { Queryable, Store } from '../store/store.js';

/** Something that happened, for people, programs and the timeline. */
export interface NewEvent {
  /** Stable, dotted. */
  kind: EventKind;
  severity?: Severity;
  hostUuid?: string | undefined;
  vmUuid?: string | undefined;
  taskUuid?: string | undefined;
  /** One plain sentence. */
  text: string;
  /** Flat facts; durations and ids. Never a secret. */
  facts?: Record<string, unknown>;
}

export type FenceEvent = Omit<EventsTable, 'id'> & { id: number };

export interface Events {
  /** Stores the event and tells the listeners. With `on`, as part of that transaction. */
  record(event: NewEvent, on?: Queryable): Promise<void>;
  /** Calls `listener` for every event from now on; returns how to stop. Listeners never throw. */
  listen(listener: (event: FenceEvent) => void): () => void;
}

/** So many are kept; older ones go now and then. */
const KEPT_EVENTS = 100_000;
const PRUNE_EVERY = 1_000;

export function makeEvents(store: Store, clock: Clock, log: Logger): Events {
  const listeners = new Set<(event: FenceEvent) => void>();
  return {
    async record(event, on = store.db) {
      const row = {
        at: isoNow(clock),
        kind: event.kind,
        severity: event.severity ?? 'info',
        hostUuid: event.hostUuid ?? null,
        vmUuid: event.vmUuid ?? null,
        taskUuid: event.taskUuid ?? null,
        text: event.text,
        factsJson: JSON.stringify(event.facts ?? {}),
      };
      const { id } = await on
        .insertInto('events')
        .values(row)
        .returning('id')
        .executeTakeFirstOrThrow();
      if (id % PRUNE_EVERY === 0)
        await on
          .deleteFrom('events')
          .where('id', '<=', id - KEPT_EVENTS)
          .execute();
      log.info(event.text, { kind: event.kind, ...event.facts });
      for (const listener of listeners) listener({ ...row, id });
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
