import { judgeUnreachable, type UnreachableFacts } from '@fenceline/common';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';

const maker = proofMaker('byUnreachable');

/**
 * `hostUnreachable`: corroborated silence, or one sibling's word where an administrator asked for
 * that; the proof bears which of the two it is.
 */
export function proofByUnreachable(run: Run, facts: UnreachableFacts): Judged {
  const ruling = judgeUnreachable(run, facts);
  if ('refused' in ruling) return ruling;
  const source = `unreachable:${facts.policy}`;
  return { proof: new FenceProof(maker, { kind: ruling.kind, run, source, facts: { ...facts } }) };
}
