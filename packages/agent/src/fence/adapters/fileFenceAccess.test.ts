import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import ssh2 from 'ssh2';
import { fileFenceAccess, worksAsKey, type FileFenceAccess } from './fileFenceAccess.js';
import type { BuiltPrograms } from './installedProgram.js';

let dir = '';
let keys = '';
let access: FileFenceAccess;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fence-access-'));
  keys = join(dir, 'ssh', 'authorized_keys');
  access = make();
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const PROGRAMS: BuiltPrograms = {
  native: undefined,
  bash: join(import.meta.dirname, '../program/fenceline-fence'),
};
const make = (change: { runDir?: string } = {}): FileFenceAccess =>
  fileFenceAccess({
    stateDir: join(dir, 'state'),
    runDir: join(dir, 'run'),
    libvirtUri: 'qemu:///session',
    authorizedKeysFile: keys,
    programs: PROGRAMS,
    ...change,
  });
const inMemory = (): string => join(dir, 'run/bin/fenceline-fence');

const sibling = (fencePublicKey: string): Parameters<FileFenceAccess['install']>[0] => [
  { hostUuid: 'aaaaaaaa-2222-3333-4444-555555555555', addresses: ['10.0.0.1'], fencePublicKey },
];
const modeOf = async (file: string): Promise<string> =>
  ((await stat(file)).mode & 0o777).toString(8);

test('F29: a key of its own, made once, private to root', async () => {
  const key = await access.publicKey();
  expect(key).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]{68}$/);
  const again = make();
  expect(await again.publicKey()).toBe(key);
  expect(await modeOf(join(dir, 'state/fence-key'))).toBe('600');
  expect(String(await access.privateKey())).toBe('[secret]');
  expect((await access.privateKey()).reveal()).toContain('OPENSSH PRIVATE KEY');
});

test('F29: a key that can not be read is none, however it was made', () => {
  // The library makes such keys now and then: they look whole and nobody can read them.
  const keys = Array.from({ length: 300 }, () => ssh2.utils.generateKeyPairSync('ed25519').private);
  const readable = keys.map((key) => !(ssh2.utils.parseKey(key) instanceof Error));
  expect(keys.map(worksAsKey)).toEqual(readable);
  const [whole = ''] = keys.filter(worksAsKey);
  expect(worksAsKey(whole.replace(/^(.+\n.{20}).{4}/, '$1'))).toBe(false);
  expect(worksAsKey('')).toBe(false);
});

test('F29: the program and the entry that runs it, and nothing else', async () => {
  await access.install(sibling(await access.publicKey()));
  expect(await modeOf(inMemory())).toBe('755');
  expect(await modeOf(keys)).toBe('600');
  const words = `--run-dir ${dir}/run --state-dir ${dir}/state --uri qemu:///session`;
  const command =
    `if test -x ${dir}/run/bin/fenceline-fence; then exec ${dir}/run/bin/fenceline-fence ${words}; fi; ` +
    `exec ${dir}/state/bin/fenceline-fence ${words}`;
  expect(await readFile(keys, 'utf8')).toMatch(
    /^restrict,from="10\.0\.0\.1",command="[^"]+" ssh-ed25519 \S+ fenceline:/,
  );
  expect(await readFile(keys, 'utf8')).toContain(`command="${command}"`);
  await access.install(sibling(await access.publicKey()), { orderTokens: true });
  expect(await readFile(keys, 'utf8')).toContain(`${words} --tokens"`);
  await access.install([]);
  expect(await readFile(keys, 'utf8')).toBe('');
});

test('F29: other people’s lines stay, also behind a link', async () => {
  await mkdir(join(dir, 'ssh'));
  await writeFile(join(dir, 'real'), 'ssh-rsa AAAA root@laptop\n');
  await symlink(join(dir, 'real'), keys);
  await access.install(sibling(await access.publicKey()));
  expect(await readFile(join(dir, 'real'), 'utf8')).toMatch(/^ssh-rsa AAAA root@laptop\nrestrict,/);
});

test('F29: a file that can not be read is an error, never an empty one', async () => {
  await mkdir(keys, { recursive: true });
  await expect(access.install([])).rejects.toThrow();
  await chmod(keys, 0o700);
});
