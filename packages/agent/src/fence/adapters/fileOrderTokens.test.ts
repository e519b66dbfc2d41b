import { mkdtemp, readdir, rm, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { memoryOrderTokens, type OrderTokens } from '../orderTokens.js';
import { fileOrderTokens } from './fileOrderTokens.js';

let dir = '';
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), 'tokens-'))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const token = (n: number): string => n.toString(16).padStart(32, '0');
const tokens = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => token(from + i));

test.each<[string, () => OrderTokens]>([
  ['files', () => fileOrderTokens(dir)],
  ['memory', () => memoryOrderTokens(new Set())],
])('F29a: %s: deposited, added to, replaced, bounded', async (_what, make) => {
  const store = make();
  expect(await store.held()).toBe(0);
  expect(await store.deposit(tokens(0, 3), { replace: false })).toBe(3);
  expect(await store.deposit(tokens(2, 5), { replace: false })).toBe(5);
  expect(await store.deposit(tokens(9, 11), { replace: true })).toBe(2);
  const tooMany = store.deposit(tokens(20, 83), { replace: false });
  await expect(tooMany).rejects.toMatchObject({ code: 'REFUSED' });
  await expect(tooMany).rejects.not.toThrow(token(20));
  expect(await store.held()).toBe(2);
  expect(await store.deposit(tokens(20, 84), { replace: true })).toBe(64);
  expect(await store.deposit([], { replace: true })).toBe(0);
});

test('F29a: files that only root reads, and what was used up is not held any more', async () => {
  const store = fileOrderTokens(dir);
  await store.deposit(tokens(0, 2), { replace: true });
  const mode = async (path: string): Promise<string> =>
    ((await stat(join(dir, path))).mode & 0o777).toString(8);
  expect(await mode('tokens')).toBe('700');
  expect(await mode(`tokens/${token(0)}`)).toBe('600');
  await unlink(join(dir, 'tokens', token(0)));
  expect(await store.held()).toBe(1);
  // What stays is not written again: its order may be on the way.
  await store.deposit([token(1), token(2)], { replace: true });
  expect((await readdir(join(dir, 'tokens'))).toSorted()).toEqual([token(1), token(2)]);
});
