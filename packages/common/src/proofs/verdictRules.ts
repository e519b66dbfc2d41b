/** What one answer of a peer decides (the verdict table). */
export type VerdictDecision =
  /** Exactly `qemuConfirmedDead`: a proof, if the record is complete. */
  | 'dead'
  /** Exactly `targetHostUnreachable`: evidence, no proof by itself. */
  | 'unreachable'
  /** `qemuStillAlive`: no start on this channel, `hostUnreachable` barred for this attempt. */
  | 'alive'
  /** Anything else: no proof; other channels go on. */
  | 'ambiguous';

/** The four values as they came; a missing one is undefined. */
export interface RawVerdict {
  success: unknown;
  qemuConfirmedDead: unknown;
  qemuStillAlive: unknown;
  targetHostUnreachable: unknown;
}

/**
 * Verdict → decision; the first row that fits decides, `qemuStillAlive` first (F24).
 * safety: every doubt falls to `ambiguous`; only one combination of values is `dead`.
 */
export function resolveVerdict(answer: RawVerdict): VerdictDecision {
  if (answer.qemuStillAlive === true) return 'alive';
  const values = [answer.qemuConfirmedDead, answer.qemuStillAlive, answer.targetHostUnreachable];
  if (answer.success !== true || !values.every(isPlain)) return 'ambiguous';
  if (values.filter((value) => value === true).length !== 1) return 'ambiguous';
  return answer.qemuConfirmedDead === true ? 'dead' : 'unreachable';
}

function isPlain(value: unknown): boolean {
  return value === true || value === false || value === null || value === undefined;
}
