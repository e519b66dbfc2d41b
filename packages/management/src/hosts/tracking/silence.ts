import type { DetectSettings } from '../../settings/settings.js';

/** What the time since the last heartbeat says (D2). */
export type Quiet = 'alive' | 'late' | 'silent';

/** How regular the heartbeats of one stream are: averages over about the last sixteen gaps. */
export interface Jitter {
  /** Mean gap between two heartbeats, ms; undefined before the second one. */
  meanMs: number | undefined;
  /** Mean distance of a gap from the mean, ms. */
  deviationMs: number;
}

export const noJitter: Jitter = Object.freeze({ meanMs: undefined, deviationMs: 0 });

/** Weight of the newest gap. */
const WEIGHT = 1 / 16;
/** One lost heartbeat is weather. */
const LATE_INTERVALS = 1.5;
/** Widening by jitter must not make a host immortal. */
const MOST_WIDENING = 3;

/** The averages with one more gap. */
export function withGap(jitter: Jitter, gapMs: number): Jitter {
  if (jitter.meanMs === undefined) return { meanMs: gapMs, deviationMs: 0 };
  const distanceMs = Math.abs(gapMs - jitter.meanMs);
  return {
    meanMs: jitter.meanMs + WEIGHT * (gapMs - jitter.meanMs),
    deviationMs: jitter.deviationMs + WEIGHT * (distanceMs - jitter.deviationMs),
  };
}

/**
 * D2: silence beyond this makes a suspect, ms: `max(silentAfterMs, mean + 6 × deviation)`, at most
 * three times `silentAfterMs`.
 */
export function silentAfterMs(
  { silentAfterMs: setMs }: Pick<DetectSettings, 'silentAfterMs'>,
  { meanMs, deviationMs }: Jitter,
): number {
  const observedMs = (meanMs ?? 0) + 6 * deviationMs;
  return Math.min(Math.max(setMs, observedMs), MOST_WIDENING * setMs);
}

/** D2: late at one and a half intervals, silent past the limit. */
export function quietness(
  quietMs: number,
  { heartbeatEveryMs, silentLimitMs }: { heartbeatEveryMs: number; silentLimitMs: number },
): Quiet {
  if (quietMs > silentLimitMs) return 'silent';
  return quietMs > LATE_INTERVALS * heartbeatEveryMs ? 'late' : 'alive';
}
