import { describe, expect, test } from '@jest/globals';
import { makeBatcher } from './batch.js';

describe('batches', () => {
  test('F17: what arrives together goes together, up to the bound, each with its own result', async () => {
    const batches: number[][] = [];
    const batcher = makeBatcher<number, number>(3, async (_key, items) => {
      batches.push([...items]);
      return items.map((item) => item * 10);
    });
    const results = await Promise.all([1, 2, 3, 4, 5].map((item) => batcher.add('h1', item)));
    expect(results).toEqual([10, 20, 30, 40, 50]);
    expect(batches).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  test('keys do not wait for each other', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const batcher = makeBatcher<string, string>(9, async (key, items) => {
      if (key === 'slow') await held;
      return [...items];
    });
    const slow = batcher.add('slow', 'a');
    expect(await batcher.add('fast', 'b')).toBe('b');
    release();
    expect(await slow).toBe('a');
  });

  test('a batch that fails fails its own items only; the key works on', async () => {
    let fail = true;
    const batcher = makeBatcher<number, number>(1, async (_key, items) => {
      if (!fail) return [...items];
      fail = false;
      throw new Error('once');
    });
    const both = await Promise.allSettled([batcher.add('h', 1), batcher.add('h', 2)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(await batcher.add('h', 3)).toBe(3);
  });
});
