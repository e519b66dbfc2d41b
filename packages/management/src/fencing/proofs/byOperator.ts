import { judgeOperator, type MonotonicMs, type OperatorFacts } from '@fenceline/common';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';

const maker = proofMaker('byOperator');

/** A person's word that a host is dead, and for how long it may be used. */
export interface OperatorConfirmation extends OperatorFacts {
  operator: string;
  expiresAfterSec: number;
  /** Monotonic time at which `silentForMs` was measured. */
  lookedAtMs: MonotonicMs;
}

/** `operatorConfirmed`: refused while the host may still be alive; bound to run and boot. */
export function proofByOperator(run: Run, word: OperatorConfirmation): Judged {
  const { operator, expiresAfterSec, reason, typedName, hostName } = word;
  const facts = {
    ...{ reason, typedName, hostName },
    silentForMs: Math.floor(word.silentForMs),
    requiredSilenceMs: word.requiredSilenceMs,
  };
  const ruling = judgeOperator(facts);
  if ('refused' in ruling) return ruling;
  const source = `operator:${operator}`;
  const { kind } = ruling;
  const claim = { kind, run, source, facts, expiresAfterSec, silentAtMs: word.lookedAtMs };
  return { proof: new FenceProof(maker, claim) };
}
