import type { DetectSettings } from '../../settings/settings.js';
import { SCAN_ROUND_MS } from '../scan.js';

/** How often the silence of every host is looked at, ms. */
export const TICK_MS = 250;

/** Refused or reset attempts in a row, after a stream broke, that say: nobody is there. */
export const BROKEN_AFTER_REFUSALS = 2;

/** A suspect is judged again this often, by how long it has been one, ms. */
export function roundEveryMs(suspectForMs: number): number {
  if (suspectForMs < 60_000) return 1_000;
  return suspectForMs < 600_000 ? 5_000 : 30_000;
}

/** A judgement that did not change is told again after this, ms: its first telling may be lost. */
export const REMIND_MS = 10_000;

/** Hosts that fell quiet within this of each other did so together (D3), ms. */
export function togetherMs({ heartbeatEveryMs }: Pick<DetectSettings, 'heartbeatEveryMs'>): number {
  return 2 * heartbeatEveryMs; // heartbeats are not in step, and one may have been late
}

/** D5: from the last heartbeat of a host that dies silently to its first judgement, at most. */
export function judgedAfterSilenceMs(detect: DetectSettings): number {
  const silenceMs = detect.silentAfterMs; // not widened: its heartbeats were regular
  const tickMs = TICK_MS; //                 the look that notices comes this much later
  const scanMs = SCAN_ROUND_MS; //           siblings look in parallel, one round
  return silenceMs + tickMs + scanMs;
}

/** While runs of an older boot are open, the reboot is told again this often, ms. */
export const REBOOT_REMIND_MS = 5_000;
