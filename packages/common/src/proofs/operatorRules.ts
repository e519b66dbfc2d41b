import type { Ruling } from './lookRules.js';

/** A person's word that a host is dead. */
export interface OperatorFacts {
  reason: string;
  /** What the person typed as the host's name. */
  typedName: string;
  hostName: string;
  /** Milliseconds since the last sign of life. */
  silentForMs: number;
  /** Below this silence the word is refused. */
  requiredSilenceMs: number;
}

/** `operatorConfirmed`: refused while the host may still be alive. */
export function judgeOperator(word: OperatorFacts): Ruling<'operatorConfirmed'> {
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
  return { kind: 'operatorConfirmed' };
}
