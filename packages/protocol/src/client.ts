import { fillPath, type Route, type StreamRoute } from './route.js';
import { parseBody } from './body.js';
import { BadAnswerError, readAnswer, type CallOptions, type Transport } from './transport.js';
import type { TransportRequest } from './transport.js';

/** One typed call for each route of a table: `client.fenceVm(command, { deadlineMs })`. */
export type Client<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Route<infer Req, infer R>
    ? (request: Req, options: CallOptions) => Promise<R>
    : never;
};

/**
 * The typed client of a route table; how the calls travel is the transport's matter.
 * Each call settles within its `deadlineMs`.
 * @throws what `Transport.send` and `readAnswer` throw.
 */
export function makeClient<Table extends Readonly<Record<string, Route<object, object>>>>(
  table: Table,
  transport: Transport,
): Client<Table> {
  const calls = Object.entries(table).map(([name, route]) => [
    name,
    (request: object, options: CallOptions) => callRoute({ transport, route, request }, options),
  ]);
  // The one place where the table's type can't be carried through Object.entries.
  return Object.freeze(Object.fromEntries(calls)) as Client<Table>;
}

/** One call of one route. @throws what `Transport.send` and `readAnswer` throw. */
export async function callRoute<Req extends object, R extends object>(
  call: { transport: Transport; route: Route<Req, R>; request: Req },
  options: CallOptions,
): Promise<R> {
  const raw = await call.transport.send(requestOf(call.route, call.request), options);
  return readAnswer(call.route, raw);
}

/** A request as it travels: path filled in, the other fields as body or query. */
export function requestOf<Req extends object>(
  route: Pick<Route<Req, object>, 'method' | 'path'>,
  request: Req,
): TransportRequest {
  const { path, rest } = fillPath(route.path, request);
  return { method: route.method, path, fields: rest };
}

/** One item of a stream. @throws BadAnswerError if it is not what the route promises. */
export function readItem<Req extends object, Item extends object>(
  route: StreamRoute<Req, Item>,
  json: unknown,
): Item {
  try {
    return parseBody(route.item, json);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BadAnswerError(200, `${route.path}: unparsable item: ${why}`);
  }
}
