import { describe, expect, test } from '@jest/globals';
import { isUuid } from '@fenceline/protocol';
import { systemRandom } from './adapters/systemRandom.js';
import { shuffled, type Random } from './random.js';
import { seededRandom } from './testing/index.js';

describe.each<[string, Random]>([
  ['the system', systemRandom],
  ['a seed', seededRandom(7)],
])('chance of %s', (_, random) => {
  test('uuids are uuids of version 4, and differ', () => {
    const uuids = Array.from({ length: 1_000 }, () => random.uuid());
    expect(new Set(uuids).size).toBe(1_000);
    expect(uuids.every(isUuid)).toBe(true);
    for (const uuid of uuids)
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('hex has two digits for each byte', () => {
    expect(random.hex(16)).toMatch(/^[0-9a-f]{32}$/);
    expect(random.hex(0)).toBe('');
  });

  test('unit is in [0, 1) and even enough', () => {
    const buckets = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 10_000; i += 1) {
      const drawn = random.unit();
      expect(drawn >= 0 && drawn < 1).toBe(true);
      const bucket = Math.floor(drawn * 10);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    expect(Math.min(...buckets)).toBeGreaterThan(850);
    expect(Math.max(...buckets)).toBeLessThan(1_150);
  });

  test('shuffled keeps every item and leaves its input alone', () => {
    const input = Object.freeze(Array.from({ length: 50 }, (_item, i) => i));
    const output = shuffled(random, input);
    expect(output).not.toEqual(input);
    expect(output.toSorted((a, b) => a - b)).toEqual(input);
  });
});

test('the same seed gives the same sequence, another one another', () => {
  const sequence = (seed: number) => {
    const random = seededRandom(seed);
    return [random.uuid(), random.unit(), random.hex(8), shuffled(random, [1, 2, 3, 4, 5])];
  };
  expect(sequence(42)).toEqual(sequence(42));
  expect(sequence(42)).not.toEqual(sequence(43));
});
