import { sleep, type Clock, type Random } from '@fenceline/common';
import type { Dialed, DialLimits, DialTarget, SshDialer } from './sshDialer.js';

export interface GateOptions {
  clock: Clock;
  random: Random;
  /** Logins under way at one moment, to all hosts together. */
  maxParallel: number;
  /** How often a login that sshd dropped before its banner is tried in all. */
  maxAttempts: number;
}

/** First pause after a dropped login, milliseconds; doubled each time, with chance. */
const RETRY_PAUSE_MS = 60;

/**
 * A dialer that bounds parallel logins and repeats only the class that sshd's MaxStartups makes:
 * dropped before the banner. All within the caller's `totalMs`, waiting in line included.
 */
export function gatedDialer(inner: SshDialer, options: GateOptions): SshDialer {
  const places = makePlaces(options.maxParallel);
  return {
    dial: async (target, limits) => {
      const until = options.clock.monotonicMs() + limits.totalMs;
      const leftMs = (): number => Math.max(0, until - options.clock.monotonicMs());
      const leave = await places.enter(options.clock, leftMs(), limits.signal);
      if (leave === undefined) return { ok: false, failure: 'aborted', stages: [] };
      try {
        return await withRetries(inner, target, { ...limits, leftMs, ...options });
      } finally {
        leave();
      }
    },
  };
}

interface RetryLimits extends DialLimits, GateOptions {
  leftMs: () => number;
}

async function withRetries(
  inner: SshDialer,
  target: DialTarget,
  limits: RetryLimits,
): Promise<Dialed> {
  for (let attempt = 1; ; attempt += 1) {
    const dialed = await inner.dial(target, { ...limits, totalMs: limits.leftMs() });
    const again = !dialed.ok && dialed.failure === 'dropped' && attempt < limits.maxAttempts;
    const pauseMs = RETRY_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + limits.random.unit());
    if (!again || limits.signal.aborted || pauseMs >= limits.leftMs()) return dialed;
    try {
      await sleep(limits.clock, pauseMs, limits.signal);
    } catch {
      return dialed;
    }
  }
}

interface Places {
  /** A place, to be left exactly once; undefined if the time or the signal came first. */
  enter(clock: Clock, limitMs: number, signal: AbortSignal): Promise<(() => void) | undefined>;
}

function makePlaces(max: number): Places {
  const waiting: (() => void)[] = [];
  let taken = 0;
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) taken -= 1;
    else next();
  };
  return {
    enter: async (clock, limitMs, signal) => {
      if (signal.aborted) return undefined;
      if (taken < max) {
        taken += 1;
        return leave;
      }
      const stop = new AbortController();
      const called = new Promise<'called'>((resolve) => waiting.push(() => resolve('called')));
      const mine = waiting.at(-1);
      const late = sleep(clock, limitMs, AbortSignal.any([signal, stop.signal])).then(
        () => 'late' as const,
        () => 'late' as const,
      );
      const result = await Promise.race([called, late]);
      stop.abort(new Error('done'));
      if (result === 'called') return leave;
      const at = mine === undefined ? -1 : waiting.indexOf(mine);
      if (at >= 0) waiting.splice(at, 1);
      // Called in the same turn in which the time ran out: the place goes to the next in line.
      else leave();
      return undefined;
    },
  };
}
