import { expect, test } from '@jest/globals';
import { Secret } from '@fenceline/common';
import { CallTokens } from './callTokens.js';

const secrets = ['a', 'b', 'c'].map((name) => new Secret(name));

test('F29a: each token goes into one order at most, in their order', () => {
  const tokens = new CallTokens(secrets);
  const given = Array.from({ length: 4 }, () => tokens.claim()?.token?.reveal());
  expect(given).toEqual(['a', 'b', 'c', undefined]);
  expect(tokens.areLeft).toBe(false);
});

test('F29a: what is told as unused is never given out afterwards', () => {
  const tokens = new CallTokens(secrets);
  tokens.claim();
  expect(tokens.seal()).toEqual([1, 2]);
  expect([tokens.claim(), tokens.areLeft, tokens.haveSpare]).toEqual([undefined, false, false]);
  expect(tokens.seal()).toEqual([1, 2]);
});

test('F29a: where none is asked for, orders need none, and none is left to tell', () => {
  const tokens = new CallTokens(undefined);
  expect([tokens.claim(), tokens.claim()]).toEqual([{ token: undefined }, { token: undefined }]);
  expect(tokens.haveSpare).toBe(false);
  expect(tokens.seal()).toEqual([]);
  expect(tokens.claim()).toBeUndefined();
});
