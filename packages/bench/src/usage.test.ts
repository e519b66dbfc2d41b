import { expect, test } from '@jest/globals';
import { parseUsage, usage, UsageError } from './usage.js';

const usual = { fence: 25, 'fence-batch': 10 };

test.each([
  [['fence'], { name: 'fence', runs: 25 }],
  [['fence-batch', '--runs', '3'], { name: 'fence-batch', runs: 3 }],
  [['--json', '-', 'fence'], { name: 'fence', runs: 25, json: '-' }],
  [['--help'], { name: 'help', runs: 0 }],
])('%j', (args, asked) => {
  expect(parseUsage(args, usual)).toEqual(asked);
});

test.each([
  [[], 'NAME is missing: one of fence, fence-batch'],
  [['race'], 'NAME: there is no benchmark race, but fence, fence-batch'],
  [['fence', 'fence-batch'], 'one NAME is enough: fence-batch is too much'],
  [['fence', '--runs', '0'], '--runs: a whole number from 1 to 10000 is needed, not 0'],
  [['fence', '--runs', '1e3'], '--runs: a whole number from 1 to 10000 is needed, not 1e3'],
  [['fence', '--runs', '10001'], '--runs: a whole number from 1 to 10000 is needed, not 10001'],
])('%j: %s', (args, message) => {
  expect(() => parseUsage(args, usual)).toThrow(new UsageError(message));
});

test('an unknown flag is named, and the usage names every benchmark', () => {
  expect(() => parseUsage(['fence', '--fast'], usual)).toThrow(/--fast/);
  expect(usage(Object.keys(usual))).toContain('fence, fence-batch');
});
