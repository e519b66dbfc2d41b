import {
  makeDispatcher,
  problemError,
  type CallContext,
  type Dispatcher,
  type Handlers,
} from '@fenceline/common';
import { apiRoutes, apiStreams } from '@fenceline/protocol';
import type { ApiContext } from './context.js';
import { followEvents } from './followEvents.js';
import { hostHandlers } from './handlers/hosts.js';
import { siteHandlers } from './handlers/site.js';
import { vmHandlers } from './handlers/vms.js';
import { onlyOnce } from './idempotency.js';
import { explainStoreError, type StoreHealth } from './storeHealth.js';

/** The whole API behind one seam, whatever carries the calls. */
export function makeApiDispatcher(context: ApiContext): Dispatcher {
  const options = { log: context.log, errorBody: problemError };
  const handlers = guarded<typeof apiRoutes>(
    { ...hostHandlers(context), ...vmHandlers(context), ...siteHandlers(context) },
    context.health,
  );
  const answers = onlyOnce(makeDispatcher(apiRoutes, handlers, options), context.clock);
  const streams = makeDispatcher(
    apiStreams,
    { followEvents: (request, { signal }) => followEvents(context, request, signal) },
    options,
  );
  return {
    handle: (call) =>
      call.path === apiStreams.followEvents.path && asksToFollow(call.fields)
        ? streams.handle(call)
        : answers.handle(call),
  };
}

/** The list and the stream of events share a path; `follow=true` tells them apart. */
function asksToFollow(fields: unknown): boolean {
  if (typeof fields !== 'object' || fields === null || !('follow' in fields)) return false;
  return fields.follow === 'true' || fields.follow === true;
}

type AnyHandler = (request: object, context: CallContext) => Promise<object>;

/** A store that fails in a handler becomes an alarm and an answer that says what to do. */
function guarded<Table extends object>(
  handlers: Handlers<Table>,
  health: StoreHealth,
): Handlers<Table> {
  const entries = Object.entries(handlers as Record<string, AnyHandler>).map(
    ([name, handler]): [string, AnyHandler] => [
      name,
      async (request, call) => {
        try {
          return await handler(request, call);
        } catch (error) {
          health.note(error);
          throw explainStoreError(error);
        }
      },
    ],
  );
  // The one place where the table's type can't be carried through Object.entries.
  return Object.fromEntries(entries) as Handlers<Table>;
}
