import { expect, test } from '@jest/globals';
import { didYouMean, nearNames } from './near.js';

const names = ['ha.mode', 'ha.preFence.mode', 'ha.preFence.sshTimeoutSec', 'host.allowEmulation'];

test.each<[string, string[], string]>([
  ['ha.prefence.mod', ['ha.preFence.mode'], 'a letter that is missing'],
  ['mode', ['ha.mode', 'ha.preFence.mode'], 'the last word of two'],
  ['ha.preFense.mode', ['ha.preFence.mode', 'ha.mode'], 'a section misspelt'],
  ['ha.prefence.mode', ['ha.preFence.mode'], 'this one and no other'],
  ['timeout', ['ha.preFence.sshTimeoutSec'], 'a part of one'],
  ['nope', [], 'nothing like it'],
  ['x', [], 'too short to mean one'],
  ['', [], 'nothing at all'],
])('%s: %j (%s)', (asked, near) => {
  expect(nearNames(asked, names)).toEqual(near);
});

test('told in a sentence, or not at all', () => {
  expect(didYouMean(['a', 'b', 'c'])).toBe('; did you mean a, b or c?');
  expect(didYouMean(['a'])).toBe('; did you mean a?');
  expect(didYouMean([])).toBe('');
});
