import { parseBody } from './body.js';
import { ErrorPart } from './envelope.js';
import { DomainError, isFacts, type ErrorFacts } from './errors.js';
import type { Route } from './route.js';

/** How long a call may take and what can end it early. */
export interface CallOptions {
  /** Milliseconds for the whole call; every call has a limit. */
  deadlineMs: number;
  signal?: AbortSignal;
}

/** What came back, before anything is believed. */
export interface RawAnswer {
  status: number;
  body: unknown;
}

/**
 * Moves one request. Promises: settles within `deadlineMs`; the answer of any status is returned,
 * not thrown.
 * @throws TransportError if no answer came.
 */
export interface Transport {
  send(request: TransportRequest, options: CallOptions): Promise<RawAnswer>;
}

export interface TransportRequest {
  method: Route<object, object>['method'];
  path: string;
  /** Sent as JSON body, or as query for GET and DELETE. */
  fields: object;
}

export const TRANSPORT_FAILURES = [
  'refused',
  'reset',
  'unreachable',
  'timeout',
  'tls',
  'aborted',
  'other',
] as const;
export type TransportFailure = (typeof TRANSPORT_FAILURES)[number];

/** No answer arrived, and why. */
export class TransportError extends Error {
  constructor(
    readonly failure: TransportFailure,
    message: string,
  ) {
    super(message);
    this.name = 'TransportError';
  }
}

/** The answer came, but its body is not what the route promises. */
export class BadAnswerError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = 'BadAnswerError';
  }
}

/**
 * Reads a raw answer as the route's response. A 2xx answer whose `success` is not true is returned
 * as it is, if its other fields can be believed: what it is worth is the caller's judgement (F24).
 * @throws RemoteError if the other side refused with a code; DomainError NO_SUCH_ROUTE for a 404
 * without one; BadAnswerError if the body can't be believed.
 */
export function readAnswer<Req extends object, R extends object>(
  route: Route<Req, R>,
  raw: RawAnswer,
): R {
  if (raw.status < 200 || raw.status > 299) throw refusalOf(route.path, raw);
  try {
    return parseBody(route.response, raw.body);
  } catch (error) {
    const refused = succeeded(raw.body) ? undefined : errorPartOf(raw.body);
    if (refused !== undefined) throw new RemoteError(raw.status, refused);
    const why = error instanceof Error ? error.message : String(error);
    throw new BadAnswerError(raw.status, `${route.path}: unparsable answer: ${why}`);
  }
}

/**
 * What an answer outside 2xx means: the agent's envelope and the API's problem details (RFC 9457)
 * are both understood; a body of any other shape is not quoted, as it may hold anything.
 */
export function refusalOf(path: string, raw: RawAnswer): Error {
  const part = errorPartOf(raw.body) ?? problemPartOf(raw.body);
  if (part !== undefined) return new RemoteError(raw.status, part);
  return raw.status === 404
    ? new DomainError('NO_SUCH_ROUTE', `${path}: agent endpoint not found`, { status: 404 })
    : new BadAnswerError(raw.status, `${path}: HTTP ${raw.status} without an error body`);
}

function succeeded(body: unknown): boolean {
  return isObject(body) && body['success'] === true;
}

function errorPartOf(body: unknown): ErrorPart | undefined {
  return isObject(body) && isObject(body['error']) ? asErrorPart(body['error']) : undefined;
}

function problemPartOf(body: unknown): ErrorPart | undefined {
  if (!isObject(body) || typeof body['code'] !== 'string') return undefined;
  const message = body['detail'] ?? body['title'] ?? body['code'];
  return asErrorPart({ code: body['code'], message, facts: body['facts'] });
}

function asErrorPart(candidate: Record<string, unknown>): ErrorPart | undefined {
  // Defaults would make an error out of `{}`.
  if (typeof candidate['code'] !== 'string') return undefined;
  const facts = isFacts(candidate['facts']) ? candidate['facts'] : undefined;
  try {
    return parseBody(ErrorPart, { ...candidate, facts });
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The other side refused, with its own code; `status` is the HTTP status that came. */
export class RemoteError extends Error {
  readonly code: string;
  readonly facts: ErrorFacts;
  constructor(
    readonly status: number,
    part: { code: string; message: string; facts?: ErrorFacts },
  ) {
    super(part.message);
    this.name = 'RemoteError';
    this.code = part.code;
    this.facts = part.facts ?? {};
  }
}
