/** Facts of an error: flat, printable, never a secret. */
export type ErrorFacts = Record<string, string | number | boolean | null>;

/**
 * Every error code that crosses the wire and the HTTP status it travels with. This table is the
 * only place that decides a status.
 */
export const ERROR_STATUS = {
  BAD_INPUT: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  NO_SUCH_ROUTE: 404,
  CONFLICT: 409,
  STALE_EPOCH: 409,
  REFUSED: 409,
  TOO_LARGE: 413,
  OWN_HOST: 400,
  TOO_MANY_REQUESTS: 429,
  INTERNAL: 500,
  LIBVIRT_FAILED: 502,
  IMAGE_LOCKED: 409,
  TIMED_OUT: 504,
  STOPPING: 503,
  HOST_UNREACHABLE: 503,
  STORE_FAILED: 507,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** What an answer carries when `success` is not true. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  facts?: ErrorFacts;
}

/** An error that is a fact with a code: it may cross the wire as it stands. */
export class DomainError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly facts: ErrorFacts = {},
  ) {
    super(message);
    this.name = 'DomainError';
  }

  get status(): number {
    return ERROR_STATUS[this.code];
  }

  toBody(): ErrorBody {
    return { code: this.code, message: this.message, facts: this.facts };
  }
}

/** True for a code of the table; anything else that arrives over the wire is INTERNAL. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_STATUS, value);
}

/** True for facts that may be shown as they stand: flat, and not endless. */
export function isFacts(value: unknown): value is ErrorFacts {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const facts = Object.values(value);
  return facts.length <= 64 && facts.every(isFact);
}

function isFact(fact: unknown): boolean {
  return fact === null || ['string', 'number', 'boolean'].includes(typeof fact);
}
