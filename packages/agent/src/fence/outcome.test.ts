import { expect, test } from '@jest/globals';
import { FENCE_OUTCOMES } from '@fenceline/protocol';
import { sentenceOf } from './answers.js';
import { threeAnswers } from './outcome.js';

const TRUE_FOR: Record<string, string> = {
  confirmedDead: 'qemuConfirmedDead',
  nothingFound: 'qemuConfirmedDead',
  stillAlive: 'qemuStillAlive',
  unattributed: 'qemuStillAlive',
  unreachable: 'targetHostUnreachable',
};

test.each(FENCE_OUTCOMES)('F24: at most one of the three is true for %s', (outcome) => {
  const answers = threeAnswers(outcome);
  const trueOnes = Object.entries(answers).flatMap(([name, value]) => (value ? [name] : []));
  expect(trueOnes).toEqual(outcome in TRUE_FOR ? [TRUE_FOR[outcome]] : []);
  expect(Object.keys(answers)).toHaveLength(3);
  expect(sentenceOf(outcome)).not.toBe('');
});
