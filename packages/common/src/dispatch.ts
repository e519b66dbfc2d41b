import {
  DomainError,
  parseBody,
  type CallerRole,
  type RawAnswer,
  type Route,
  type StreamRoute,
} from '@fenceline/protocol';
import { isError, messageOf } from './failure.js';
import type { Logger } from './logger.js';
import { makeRouter } from './router.js';

/** Who calls, proven by certificate or token. */
export interface Caller {
  role: CallerRole;
  /** Host uuid, server name or token name; for the audit and for people. */
  name: string;
}

export interface CallContext {
  caller: Caller;
  /** Fires when the caller is gone or this process stops. */
  signal: AbortSignal;
}

/**
 * What serves a route. A stream's handler may throw before it returns its items (a refusal with a
 * code); what the items throw later can only break the stream.
 */
export type Handler<R> =
  R extends Route<infer Req, infer Rsp>
    ? (request: Req, context: CallContext) => Promise<Rsp>
    : R extends StreamRoute<infer Req, infer Item>
      ? (request: Req, context: CallContext) => AsyncIterable<Item>
      : never;

/** One handler for each route of a table; a missing one does not compile. */
export type Handlers<Table> = { [Name in keyof Table]: Handler<Table[Name]> };

/** A call as it arrives, whatever carried it. */
export interface IncomingCall {
  method: string;
  /** Without the query. */
  path: string;
  /** Body or query, as parsed JSON. */
  fields: unknown;
  caller: Caller;
  signal: AbortSignal;
  /** The caller's own name for this request, so that a repeat is not done twice. */
  idempotencyKey?: string;
}

export type Dispatched =
  { kind: 'answer'; answer: RawAnswer } | { kind: 'stream'; items: AsyncIterable<object> };

/** The seam: routes a call to its handler with validation, roles and errors in one place. */
export interface Dispatcher {
  /** Never throws; every failure is an answer with a status and a code. */
  handle(call: IncomingCall): Promise<Dispatched>;
}

export interface DispatchOptions {
  log: Logger;
  /** How an error looks on this wire: the agent's envelope or the API's problem details. */
  errorBody: (error: DomainError) => object;
}

type AnyRoute = Route<object, object> | StreamRoute<object, object>;
type AnyHandler = (request: object, context: CallContext) => unknown;

/** The agent's envelope. */
export function envelopeError(error: DomainError): object {
  return { success: false, error: error.toBody() };
}

/** RFC 9457 problem details with a stable `code`, for the server's API. */
export function problemError(error: DomainError): object {
  return {
    type: `urn:fenceline:error:${error.code}`,
    title: error.code,
    status: error.status,
    code: error.code,
    detail: error.message,
    facts: error.facts,
  };
}

export function makeDispatcher<Table extends Record<string, object>>(
  table: Table,
  handlers: Handlers<Table>,
  options: DispatchOptions,
): Dispatcher {
  const routes = Object.entries(table).map(([name, spec]) => ({
    route: spec as AnyRoute,
    handler: (handlers as Record<string, AnyHandler>)[name],
  }));
  const router = makeRouter(routes.map(({ route, handler }) => ({ route, value: handler })));
  return {
    async handle(call) {
      try {
        const found = router(call.method, call.path);
        if (found?.value === undefined)
          throw new DomainError('NO_SUCH_ROUTE', `no such route: ${call.method} ${call.path}`);
        const { route, value, params } = found;
        checkRole(route, call.caller);
        const request = parseBody(route.request, withParams(call.fields, params));
        const context = { caller: call.caller, signal: call.signal };
        if (route.kind === 'stream')
          return { kind: 'stream', items: value(request, context) as AsyncIterable<object> };
        const body = (await value(request, context)) as object;
        return { kind: 'answer', answer: { status: 200, body } };
      } catch (thrown) {
        const error = asDomainError(thrown, options.log, call);
        return {
          kind: 'answer',
          answer: { status: error.status, body: options.errorBody(error) },
        };
      }
    },
  };
}

/** Anything but an object stays what it is, for parseBody to refuse. */
function withParams(fields: unknown, params: Record<string, string>): unknown {
  const mergeable = typeof fields === 'object' && fields !== null && !Array.isArray(fields);
  return mergeable ? { ...fields, ...params } : fields;
}

function checkRole(route: AnyRoute, caller: Caller): void {
  if (!route.roles.includes(caller.role))
    throw new DomainError('FORBIDDEN', `${route.path} may not be called as ${caller.role}`, {
      role: caller.role,
    });
}

function asDomainError(thrown: unknown, log: Logger, call: IncomingCall): DomainError {
  if (thrown instanceof DomainError) return thrown;
  log.error('a route failed unexpectedly', {
    path: call.path,
    error: messageOf(thrown),
    stack: isError(thrown) ? thrown.stack : undefined,
  });
  return new DomainError('INTERNAL', 'an internal error; the log has the details');
}
