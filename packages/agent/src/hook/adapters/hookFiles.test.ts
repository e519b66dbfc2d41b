import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { fileHook } from './fileHook.js';
import { fileProtectedLists } from './fileProtectedLists.js';

let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'hook-files-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const room = (name: string): Buffer =>
  Buffer.concat([Buffer.from(name), Buffer.alloc(512 - name.length)]);
const PROGRAM = Buffer.concat([
  Buffer.from('head'),
  room('FENCELINE_RUN_DIR=/run/fenceline'),
  room('FENCELINE_STATE_DIR=/var/lib/fenceline/agent'),
  Buffer.from('tail'),
]);

function hookIn(program: Buffer | undefined = PROGRAM) {
  const file = join(home, 'program');
  writeFileSync(file, program);
  const dir = join(home, 'hooks', 'qemu.d');
  mkdirSync(join(home, 'hooks'), { recursive: true });
  const options = { dir, runDir: '/run/other', stateDir: '/state', program: file };
  return { installed: join(dir, '50-fenceline'), hook: fileHook(options), dir };
}

test('F34: the hook is put in place with the folders of its agent, and left alone then', async () => {
  const { hook, installed, dir } = hookIn();
  expect(await hook.install()).toBe(true);
  expect(statSync(installed).mode & 0o7777).toBe(0o755);
  const bytes = readFileSync(installed);
  expect(bytes).toHaveLength(PROGRAM.length);
  expect(bytes.toString()).toMatch(
    /^headFENCELINE_RUN_DIR=\/run\/other\0+FENCELINE_STATE_DIR=\/state\0+tail$/,
  );
  expect(await hook.install()).toBe(false);
  expect([readdirSync(dir), readdirSync(join(dir, '..'))]).toEqual([['50-fenceline'], ['qemu.d']]);
});

test.each<[string, (file: string) => void]>([
  ['gone', (file) => rmSync(file)],
  ['not executable', (file) => chmodSync(file, 0o644)],
  ['writable for others', (file) => chmodSync(file, 0o777)],
  [
    'another program of the same length',
    (file) => writeFileSync(file, Buffer.alloc(PROGRAM.length)),
  ],
  [
    'a link to a good one',
    (file) => {
      const copy = join(home, 'copy');
      writeFileSync(copy, readFileSync(file), { mode: 0o755 });
      rmSync(file);
      symlinkSync(copy, file);
    },
  ],
])('F34: a hook that is %s is put back', async (_, breaking) => {
  const { hook, installed } = hookIn();
  await hook.install();
  breaking(installed);
  expect(await hook.install()).toBe(true);
  expect(await hook.install()).toBe(false);
});

test('F34: what can not be installed is told with the file and the reason', async () => {
  const { hook, installed } = hookIn();
  mkdirSync(installed, { recursive: true });
  await expect(hook.install()).rejects.toThrow(/50-fenceline can't be installed/);
  await expect(hookIn(Buffer.from('x')).hook.install()).rejects.toThrow('no one place');
  rmSync(join(home, 'program'));
  await expect(hook.install()).rejects.toThrow('carries no hook');
});

test('F34: the list is replaced as a whole, on disk and for the hook, for root alone', async () => {
  const dirs = { runDir: join(home, 'run'), stateDir: join(home, 'state') };
  const lists = fileProtectedLists(dirs);
  expect(await lists.kept()).toBeUndefined();
  await Promise.all(['one', 'two', 'three'].map((list) => lists.keep(list)));
  expect(await lists.kept()).toBe('three');
  expect(existsSync(join(dirs.runDir, 'protected'))).toBe(false);
  await lists.offer('three');
  expect(readFileSync(join(dirs.runDir, 'protected'), 'utf8')).toBe('three');
  expect(statSync(join(dirs.runDir, 'protected')).mode & 0o777).toBe(0o600);
  expect([readdirSync(dirs.runDir), readdirSync(dirs.stateDir)]).toEqual([
    ['protected'],
    ['protected'],
  ]);
  // safety: F34: what can't be read is not a list that was never sent
  rmSync(join(dirs.stateDir, 'protected'));
  mkdirSync(join(dirs.stateDir, 'protected'));
  await expect(lists.kept()).rejects.toThrow('EISDIR');
});
