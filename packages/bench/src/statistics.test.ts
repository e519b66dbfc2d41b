import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { percentile, ratio, summarize } from './statistics.js';

describe('percentile', () => {
  test.each([
    [[7], 0.5, 7, 'one value is every percentile'],
    [[1, 2], 0.5, 1.5, 'the median of an even number is between the two'],
    [[3, 1, 2], 0.5, 2, 'the order does not matter'],
    [[1, 2, 3, 4], 0, 1, 'the least'],
    [[1, 2, 3, 4], 1, 4, 'the greatest'],
    [Array.from({ length: 20 }, (_, i) => i + 1), 0.95, 19, '19 of 20 lie at or below it'],
    [Array.from({ length: 21 }, (_, i) => i + 1), 0.95, 20, 'no value between two is made up'],
    [Array.from({ length: 10 }, (_, i) => i + 1), 0.95, 10, 'of ten the worst one'],
  ])('%j at %d is %d: %s', (values, share, expected) => {
    expect(percentile(values, share)).toBe(expected);
  });

  test('no value lies outside, and more of the share is never less', () => {
    const values = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 });
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(values, share, share, (list, a, b) => {
        const [low, high] = [percentile(list, Math.min(a, b)), percentile(list, Math.max(a, b))];
        expect(low).toBeGreaterThanOrEqual(Math.min(...list));
        expect(high).toBeLessThanOrEqual(Math.max(...list));
        expect(low).toBeLessThanOrEqual(high);
      }),
    );
  });

  test.each([
    [[], 0.5],
    [[1], 1.1],
    [[1], Number.NaN],
  ])('%j at %d is refused', (values, share) => {
    expect(() => percentile(values, share)).toThrow(RangeError);
  });
});

test('a summary, and the ratio of two', () => {
  const slow = summarize([300, 100, 200]);
  const fast = summarize([10.004, 9.996]);
  expect(slow).toEqual({ medianMs: 200, p95Ms: 300, n: 3 });
  expect(fast).toEqual({ medianMs: 10, p95Ms: 10, n: 2 });
  expect(ratio(slow, fast)).toBe(20);
  expect(ratio(fast, slow)).toBe(0.05);
  expect(() => ratio(slow, { ...fast, medianMs: 0 })).toThrow(RangeError);
});
