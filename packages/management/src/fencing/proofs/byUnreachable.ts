import { judgeUnreachable, type MonotonicMs, type UnreachableFacts } from '@fenceline/common';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';

const maker = proofMaker('byUnreachable');

/**
 * `hostUnreachable`: corroborated silence, or one sibling's word where an administrator asked for
 * that; the proof bears which of the two it is.
 * @param lookedAtMs when the suspect's last sign of life was looked at.
 */
export function proofByUnreachable(
  run: Run,
  facts: UnreachableFacts,
  lookedAtMs: MonotonicMs,
): Judged {
  const ruling = judgeUnreachable(run, facts);
  if ('refused' in ruling) return ruling;
  const source = `unreachable:${facts.policy}`;
  const claim = { kind: ruling.kind, run, source, facts: { ...facts }, silentAtMs: lookedAtMs };
  return { proof: new FenceProof(maker, claim) };
}
