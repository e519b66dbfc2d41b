import { judgeBoot, type BootFacts } from '@fenceline/common';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';

const maker = proofMaker('byBoot');

/** `hostRebooted`: the run's host answers under another boot; nothing was looked for or killed. */
export function proofByBoot(run: Run, facts: BootFacts): Judged {
  const ruling = judgeBoot(run, facts);
  if ('refused' in ruling) return ruling;
  const source = `boot:${run.hostUuid}`;
  return { proof: new FenceProof(maker, { kind: ruling.kind, run, source, facts: { ...facts } }) };
}
