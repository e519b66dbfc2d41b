import { expect, test } from '@jest/globals';
import { noJitter, quietness, silentAfterMs, withGap, type Jitter } from './silence.js';

test.each([
  // quietMs  expected  why
  [0, 'alive', 'just heard'],
  [1_400, 'alive', 'inside one and a half beats'],
  [1_500, 'alive', 'at the edge'],
  [1_501, 'late', 'one lost beat is weather'],
  [3_000, 'late', 'a stall of 2 s right after a beat ends here'],
  [3_001, 'silent', 'three lost beats are not weather'],
])('D2: %i ms of silence is %s: %s', (quietMs, expected) => {
  expect(quietness(quietMs, { heartbeatEveryMs: 1_000, silentLimitMs: 3_000 })).toBe(expected);
});

const widened: [number | undefined, number, number, string][] = [
  // mean       deviation  limit  why
  [undefined, 0, 3_000, 'nothing observed yet'],
  [1_000, 10, 3_000, 'a regular stream is not narrowed below the setting'],
  [1_500, 250, 3_000, 'just reaches it'],
  [1_500, 400, 3_900, 'widened to mean + 6 × deviation'],
  [2_000, 5_000, 9_000, 'never more than three times'],
];
test.each(widened)(
  'D2: mean %s ms ± %d ms is silent after %d ms: %s',
  (meanMs, deviationMs, limit) => {
    expect(silentAfterMs({ silentAfterMs: 3_000 }, { meanMs, deviationMs })).toBe(limit);
  },
);

const feed = (gaps: number[]): Jitter => gaps.reduce(withGap, noJitter);

test('D2: 5 % lost heartbeats (each a gap of two) suspect nobody and hardly widen the limit', () => {
  const gaps = Array.from({ length: 400 }, (_, i) => (i % 20 === 0 ? 2_000 : 1_000));
  const limit = silentAfterMs({ silentAfterMs: 3_000 }, feed(gaps));
  expect(Math.max(...gaps)).toBeLessThan(limit);
  expect(limit).toBe(3_000);
});

test('D2: one stall of 2 s leaves the limit as it is', () => {
  const gaps = [...Array.from({ length: 50 }, () => 1_000), 3_000, 1_000];
  expect(silentAfterMs({ silentAfterMs: 3_000 }, feed(gaps))).toBe(3_000);
});

test('D2: a link that stalls every few beats widens the limit, and forgets it again', () => {
  const bad = feed(Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 200 : 2_600)));
  expect(silentAfterMs({ silentAfterMs: 3_000 }, bad)).toBeGreaterThan(5_000);
  const good = Array.from({ length: 100 }, () => 1_000).reduce(withGap, bad);
  expect(silentAfterMs({ silentAfterMs: 3_000 }, good)).toBe(3_000);
});
