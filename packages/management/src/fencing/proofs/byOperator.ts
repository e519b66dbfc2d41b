import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';

const maker = proofMaker('byOperator');

/** A person's word that a host is dead. */
export interface OperatorConfirmation {
  operator: string;
  reason: string;
  /** What the person typed as the host's name. */
  typedName: string;
  hostName: string;
  /** Milliseconds since the last sign of life. */
  silentForMs: number;
  /** Below this silence the word is refused. */
  requiredSilenceMs: number;
  expiresAfterSec: number;
}

/** `operatorConfirmed`: refused while the host may still be alive; bound to run and boot. */
export function proofByOperator(run: Run, word: OperatorConfirmation): Judged {
  if (word.typedName !== word.hostName)
    return { refused: `the typed name "${word.typedName}" is not the host's name` };
  if (word.reason.trim() === '') return { refused: 'a reason is needed' };
  // safety: a host that acted a moment ago may still be writing.
  if (word.silentForMs < word.requiredSilenceMs)
    return {
      refused:
        `the last sign of life is ${Math.floor(word.silentForMs / 1_000)} s old; ` +
        `at least ${Math.ceil(word.requiredSilenceMs / 1_000)} s are needed`,
    };
  return {
    proof: new FenceProof(maker, {
      kind: 'operatorConfirmed',
      run,
      source: `operator:${word.operator}`,
      facts: { reason: word.reason, silentForMs: Math.round(word.silentForMs) },
      expiresAfterSec: word.expiresAfterSec,
    }),
  };
}
