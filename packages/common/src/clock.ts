import { asError, isError } from './failure.js';

/** Milliseconds of a clock that never goes back; says nothing about the time of day. */
export type MonotonicMs = number;
/** Milliseconds since 1970 UTC; may jump. For display and records, never for elapsed time. */
export type WallMs = number;

/** A timer that was set; cancelling twice is harmless. */
export interface Timer {
  cancel(): void;
}

/** Time, the only way to it. Monotonic and wall time never mix. */
export interface Clock {
  /** Elapsed-time clock. Never goes back; starts anywhere. */
  monotonicMs(): MonotonicMs;
  /** Time of day. */
  wallMs(): WallMs;
  /** Runs `action` once, not before `ms` have passed; never synchronously. */
  after(ms: number, action: () => void): Timer;
}

/** The time of day as ISO 8601 UTC, for records and people. */
export function isoNow(clock: Clock): string {
  return new Date(clock.wallMs()).toISOString();
}

/** Waits `ms`, or less if the signal fires. @throws the signal's reason. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(reasonOf(signal));
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A wait ran out. */
export class TimeoutError extends Error {
  constructor(
    readonly what: string,
    readonly waitedMs: number,
  ) {
    super(`${what}: no answer within ${waitedMs} ms`);
    this.name = 'TimeoutError';
  }
}

export interface Limit {
  clock: Clock;
  ms: number;
  /** Names the wait in the error. */
  what: string;
  signal?: AbortSignal | undefined;
}

/**
 * Gives `work` a limit. Its signal fires when the time is up or the outer signal fires, and the
 * promise settles then whether or not `work` reacts.
 * @throws TimeoutError, the outer signal's reason, or what `work` throws.
 */
export function withLimit<T>(limit: Limit, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const onOuter = (): void => stop(reasonOf(limit.signal));
    const timer = limit.clock.after(limit.ms, () => stop(new TimeoutError(limit.what, limit.ms)));
    const tidy = (): void => {
      timer.cancel();
      limit.signal?.removeEventListener('abort', onOuter);
    };
    const stop = (reason: Error): void => {
      tidy();
      controller.abort(reason);
      reject(reason);
    };
    if (limit.signal?.aborted) {
      stop(reasonOf(limit.signal));
      return;
    }
    limit.signal?.addEventListener('abort', onOuter, { once: true });
    // An async wrapper: a work that throws before its first await must not leave the timer behind.
    (async () => work(controller.signal))().then(
      (value) => {
        tidy();
        resolve(value);
      },
      (error: unknown) => {
        tidy();
        reject(asError(error));
      },
    );
  });
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return isError(reason) ? reason : new Error('aborted');
}
