import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Secret } from '@fenceline/common';
import { fileLoginVault } from './fileLoginVault.js';

let dir = '';
beforeEach(async () => void (dir = await mkdtemp(path.join(tmpdir(), 'vault-'))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const LOGIN = new Secret('canary-of-the-vault');

test('F30, F28: at rest a login is sealed with a key of its own file, readable by its owner only', async () => {
  const sealed = await fileLoginVault(dir).seal('h1', LOGIN);
  expect(sealed).not.toContain('canary');
  expect((await fileLoginVault(dir).open('h1', sealed)).reveal()).toBe(LOGIN.reveal());
  const { mode, size } = await stat(path.join(dir, 'login-key'));
  expect([(mode & 0o777).toString(8), size]).toEqual(['600', 32]);
});

test('F30: a login moved to another host, or opened with another key, is none', async () => {
  const sealed = await fileLoginVault(dir).seal('h1', LOGIN);
  await expect(fileLoginVault(dir).open('h2', sealed)).rejects.toThrow(/can't be opened/);
  await writeFile(path.join(dir, 'login-key'), Buffer.alloc(32));
  await expect(fileLoginVault(dir).open('h1', sealed)).rejects.toThrow(
    /set the login or the power device anew/,
  );
});

test('F30: two first logins at once make one key', async () => {
  const vaults = [fileLoginVault(dir), fileLoginVault(dir), fileLoginVault(dir)];
  const sealed = await Promise.all(vaults.map((vault) => vault.seal('h1', LOGIN)));
  for (const one of sealed)
    expect((await fileLoginVault(dir).open('h1', one)).reveal()).toBe(LOGIN.reveal());
  expect(await readdir(dir)).toEqual(['login-key']);
});

test('F30: a damaged key file is an error, and is never written over', async () => {
  await writeFile(path.join(dir, 'login-key'), 'short');
  await expect(fileLoginVault(dir).seal('h1', LOGIN)).rejects.toThrow(/is not a key/);
  expect(await readFile(path.join(dir, 'login-key'), 'utf8')).toBe('short');
});
