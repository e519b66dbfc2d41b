import { expect, test } from '@jest/globals';
import { interleave } from './interleave.js';

test('each side once per round, and another one begins each round', async () => {
  const order: string[] = [];
  const side = (label: string) => ({
    label,
    once: async (round: number) => void order.push(`${label}${round}`),
  });
  await interleave([side('a'), side('b'), side('c')], 3, () => undefined);
  expect(order.join(' ')).toBe('a0 b0 c0 b1 c1 a1 c2 a2 b2');
});

test('a side that fails ends it, by its name', async () => {
  const bad = { label: 'theirs', once: () => Promise.reject(new Error('it is still there')) };
  await expect(interleave([bad], 2, () => undefined)).rejects.toThrow('theirs: it is still there');
});
