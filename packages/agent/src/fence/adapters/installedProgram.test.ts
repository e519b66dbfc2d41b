import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { installDoor, installProgram } from './installedProgram.js';

let dir = '';
let files: [string, string];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'installed-'));
  files = [join(dir, 'run/bin/fenceline-fence'), join(dir, 'state/bin/fenceline-fence')];
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function program(name: string, text: string): Promise<string> {
  await writeFile(join(dir, name), text);
  return join(dir, name);
}
const greeting = (words: string): string => `#!/bin/sh\necho "fenceline-fence ${words}"\n`;
const content = (file: string): Promise<string> => readFile(file, 'utf8');

test('F26: the native program, in memory and on disk, private to nobody, as one file each', async () => {
  const native = await program('native', greeting('1 line=1'));
  const bash = await program('bash', greeting('1'));
  expect(await installProgram(files, { native, bash })).toEqual({ kind: 'native', inMemory: true });
  for (const file of files) {
    expect(await content(file)).toBe(await content(native));
    expect((await stat(file)).mode & 0o777).toBe(0o755);
  }
  expect(await readdir(join(dir, 'run/bin'))).toEqual(['fenceline-fence']);
});

test.each<[string | undefined, string]>([
  [undefined, 'was not built'],
  ['nowhere', 'is not there'],
  ['#!/no/such/interpreter\n', 'can not be started here'],
  ['\u007FELF of another machine', 'is for another machine'],
  [greeting('2'), 'speaks another version'],
  [greeting('10'), 'speaks a version that only begins like ours'],
])('F26: a native program %j that %s, then the one in bash', async (text, _why) => {
  const bash = await program('bash', greeting('1'));
  let native: string | undefined;
  if (text === 'nowhere') native = join(dir, text);
  else if (text !== undefined) native = await program('native', text);
  expect(await installProgram(files, { native, bash })).toEqual({ kind: 'bash', inMemory: true });
  for (const file of files) expect(await content(file)).toBe(await content(bash));
});

test('F26: one that does not run never takes the place of one that does', async () => {
  const bash = await program('bash', greeting('1'));
  await installProgram(files, { native: undefined, bash });
  const broken = await program('broken', '#!/bin/sh\nexit 1\n');
  await expect(installProgram(files, { native: broken, bash: broken })).rejects.toThrow(
    'no fence program runs on this host',
  );
  for (const file of files) expect(await content(file)).toBe(greeting('1'));
});

test('F26: where programs can not run from memory, none lies there to be tried', async () => {
  // As under noexec: what is started from there fails, from elsewhere it runs.
  const native = await program(
    'native',
    `#!/bin/sh\ncase $0 in ${dir}/run/*) exit 126 ;; esac\necho 'fenceline-fence 1 line=1'\n`,
  );
  await mkdir(join(dir, 'run/bin'), { recursive: true });
  await writeFile(files[0], 'of an earlier agent');
  await chmod(files[0], 0o755);
  const installed = await installProgram(files, { native, bash: undefined });
  expect(installed).toEqual({ kind: 'native', inMemory: false });
  expect(await readdir(join(dir, 'run/bin'))).toEqual([]);
  expect(await content(files[1])).toBe(await content(native));
});

test('F26: a program that is built into this checkout says its greeting, and is installed', async () => {
  expect(await installProgram(files)).toMatchObject({ inMemory: true });
});

test('F27: the same program again is left as it is, so what runs it is still the installed one', async () => {
  const native = await program('native', greeting('1 line=1'));
  const install = () => installProgram(files, { native, bash: undefined });
  await install();
  const before = (await stat(files[0])).ino;
  await install();
  expect((await stat(files[0])).ino).toBe(before);
  // But not if it does not run any more.
  await chmod(files[0], 0o644);
  await install();
  expect((await stat(files[0])).mode & 0o777).toBe(0o755);
  await writeFile(native, greeting('1 line=1 newer'));
  await install();
  expect(await content(files[0])).toBe(greeting('1 line=1 newer'));
});

describe('F27: the door', () => {
  const usage = '#!/bin/sh\nexit 2\n';
  test('F27: lies in memory', async () => {
    expect(await installDoor(files, await program('door', usage))).toBe(files[0]);
    expect((await stat(files[0])).mode & 0o777).toBe(0o755);
  });

  test('F27: or on disk where programs can not run from memory', async () => {
    const door = await program(
      'door',
      `#!/bin/sh\ncase $0 in ${dir}/run/*) exit 126 ;; esac\nexit 2\n`,
    );
    expect(await installDoor(files, door)).toBe(files[1]);
    expect(await readdir(join(dir, 'run/bin'))).toEqual([]);
  });

  test.each<[string, string | undefined]>([
    ['was not built', 'nowhere'],
    ['is for another machine', '\u007FELF of another machine'],
    ['is no door', '#!/bin/sh\nexit 0\n'],
  ])('F27: that %s is none', async (_why, text) => {
    const built = text === 'nowhere' ? join(dir, text) : await program('door', text ?? '');
    expect(await installDoor(files, built)).toBeUndefined();
  });
});
