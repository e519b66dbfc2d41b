import type { BodyClass } from './body.js';
import { DomainError } from './errors.js';

/** Who may call a route, by the role in the caller's certificate or token. */
export type CallerRole = 'server' | 'sibling' | 'viewer' | 'operator' | 'admin';

/** A request and its one answer. Stated once; client, server and contract test derive from it. */
export interface Route<Req extends object, Rsp extends object> {
  readonly kind: 'request';
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** May hold `:param` parts; they and the query are merged into the request object. */
  readonly path: string;
  /** GET and DELETE carry it as a query: flat, numbers marked `NumberInQuery`. */
  readonly request: BodyClass<Req>;
  readonly response: BodyClass<Rsp>;
  readonly roles: readonly CallerRole[];
  /** What the route does, for the API page. */
  readonly summary: string;
}

/** An answer without end: newline-delimited JSON or server-sent events. */
export interface StreamRoute<Req extends object, Item extends object> {
  readonly kind: 'stream';
  readonly name: string;
  readonly method: 'GET';
  readonly path: string;
  readonly request: BodyClass<Req>;
  readonly item: BodyClass<Item>;
  readonly roles: readonly CallerRole[];
  readonly summary: string;
}

export function route<Req extends object, Rsp extends object>(
  spec: Omit<Route<Req, Rsp>, 'kind'>,
): Route<Req, Rsp> {
  return Object.freeze({ kind: 'request', ...spec });
}

export function streamRoute<Req extends object, Item extends object>(
  spec: Omit<StreamRoute<Req, Item>, 'kind'>,
): StreamRoute<Req, Item> {
  return Object.freeze({ kind: 'stream', ...spec });
}

/** A request without fields. */
export class Nothing {}

/**
 * The path with its `:param` parts filled in and the fields that are left over.
 * @throws DomainError BAD_INPUT if a part is missing, or would mean another path (`..`).
 */
export function fillPath(path: string, request: object): { path: string; rest: object } {
  const rest: Record<string, unknown> = { ...request };
  const filled = path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
    if (['', '.', '..'].includes(text))
      throw new DomainError('BAD_INPUT', `${path}: ${name} can't be a part of a path`);
    return encodeURIComponent(text);
  });
  return { path: filled, rest };
}
