import { DomainError } from '@fenceline/protocol';
import type { Liveness } from '../store/schema.js';

/** One legal change of a host's judged life (D7). */
export interface LivenessChange {
  to: Liveness;
  /** One sentence for the history. */
  reason: string;
}

/**
 * D7: one function per arrow. Each answers undefined where nothing changes, and throws where the
 * arrow starts from a place that it may not start from.
 */
function arrow(name: string, from: readonly Liveness[], to: Liveness) {
  return (now: Liveness, reason: string): LivenessChange | undefined => {
    if (now === to) return undefined;
    if (!from.includes(now))
      throw new DomainError('CONFLICT', `liveness: ${name} is not possible from ${now}`, {
        from: now,
        to,
      });
    return { to, reason };
  };
}

/** online → late: one and a half heartbeats are missing; accuses nobody yet. */
export const becameLate = arrow('becameLate', ['online'], 'late');
/** → suspect: silent past the limit, or its link broke and no probe was answered. */
export const suspected = arrow('suspected', ['online', 'late', 'isolated'], 'suspect');
/** suspect → isolated: its agent answers a sibling; only the server's path to it is down. */
export const foundIsolated = arrow('foundIsolated', ['suspect'], 'isolated');
/** → fencing: a fence order for runs of this host is out. */
export const fenceBegan = arrow('fenceBegan', ['suspect', 'isolated', 'fenced'], 'fencing');
/** fencing → fenced: every open run there is closed by proof. */
export const fenceDone = arrow('fenceDone', ['fencing'], 'fenced');
/** fencing → suspect: the order ended without closing every run. */
export const fenceCalledOff = arrow('fenceCalledOff', ['fencing'], 'suspect');
/** → online: it answers again. What has been fenced stays fenced (C24). */
export const cameBack = arrow(
  'cameBack',
  ['late', 'suspect', 'isolated', 'fencing', 'fenced'],
  'online',
);

export const livenessArrows = {
  becameLate,
  suspected,
  foundIsolated,
  fenceBegan,
  fenceDone,
  fenceCalledOff,
  cameBack,
} as const;
export type LivenessArrow = keyof typeof livenessArrows;

/** Lives that mean that the link to the host is down. */
export function isUnderSuspicion(liveness: Liveness): boolean {
  return liveness !== 'online' && liveness !== 'late';
}
