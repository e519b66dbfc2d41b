import { parseBody, problemsOf } from './body.js';
import { Rsp } from './envelope.js';
import { DomainError } from './errors.js';
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
 * Reads a raw answer as the route's response.
 * @throws DomainError if the other side said so; BadAnswerError if its body can't be believed.
 */
export function readAnswer<Req extends object, R extends object>(
  route: Route<Req, R>,
  raw: RawAnswer,
): R {
  const failed = raw.status < 200 || raw.status > 299;
  if (failed) throw refusalOf(route.path, raw);
  let answer: R;
  try {
    answer = parseBody(route.response, raw.body);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BadAnswerError(raw.status, `${route.path}: unparsable answer: ${why}`);
  }
  return answer;
}

function refusalOf(path: string, raw: RawAnswer): Error {
  const rsp = Object.assign(new Rsp(), raw.body);
  const error = rsp.error;
  const known = typeof error === 'object' && error !== null && problemsOf(rsp).length === 0;
  if (!known)
    return raw.status === 404
      ? new DomainError('NO_SUCH_ROUTE', `${path}: agent endpoint not found`, { status: 404 })
      : new BadAnswerError(raw.status, `${path}: HTTP ${raw.status} without an error body`);
  return new RemoteError(raw.status, error);
}

/** The other side refused, with its own code; `status` is the HTTP status that came. */
export class RemoteError extends Error {
  readonly code: string;
  readonly facts: Record<string, string | number | boolean | null>;
  constructor(
    readonly status: number,
    part: {
      code: string;
      message: string;
      facts?: Record<string, string | number | boolean | null>;
    },
  ) {
    super(part.message);
    this.name = 'RemoteError';
    this.code = part.code;
    this.facts = part.facts ?? {};
  }
}
