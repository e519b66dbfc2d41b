import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@fenceline/common';
import type { BackgroundProgram, FoundProgram } from '../door/background.js';
import { detachedPrograms } from './detachedPrograms.js';

// Real processes of a program of its own: bash under another name, told what to do by its arguments.

const NATIVE = join(import.meta.dirname, '../../../../native');
let dir = '';
let file = '';
const started: FoundProgram[] = [];
const programs = () => detachedPrograms(systemClock, join(dir, 'run'));
const program = (script: string, over: Partial<BackgroundProgram> = {}): BackgroundProgram => ({
  ...{ name: 'one', file, args: ['-c', script], mark: 'm1' },
  ...over,
});
const LISTENS = 'echo listening 7; exec {f}<> <(:); while :; do read -t 1000 -u $f; done';
const isAlive = ({ pid }: FoundProgram): boolean => existsSync(`/proc/${pid}/exe`);

async function begin(
  script = LISTENS,
  over: Partial<BackgroundProgram> = {},
): Promise<FoundProgram> {
  const one = program(script, over);
  await programs().start(one);
  const found = await programs().find(one);
  if (found === undefined) throw new Error('it runs');
  started.push(found);
  return found;
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'detached-'));
  file = join(dir, 'program');
  spawnSync('cp', ['/bin/bash', file]);
});
afterEach(() => {
  for (const found of started.splice(0)) if (isAlive(found)) process.kill(found.pid, 'SIGKILL');
  rmSync(dir, { recursive: true });
});

test('F27: it has a session of its own, and the next life of the agent finds it', async () => {
  const found = await begin();
  expect(found).toMatchObject({ args: ['-c', LISTENS], mark: 'm1', isInstalled: true });
  const session = readFileSync(`/proc/${found.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3];
  expect(Number(session)).toBe(found.pid);
  expect(await detachedPrograms(systemClock, join(dir, 'run')).find(program(''))).toEqual(found);
});

test('F27: another file in its place is told', async () => {
  await begin();
  writeFileSync(`${file}.new`, readFileSync(file));
  chmodSync(`${file}.new`, 0o755);
  spawnSync('mv', [`${file}.new`, file]);
  expect(await programs().find(program(''))).toMatchObject({ isInstalled: false });
});

test('a number that is another process by now is neither found nor ended', async () => {
  const found = await begin();
  const pidFile = join(dir, 'run/one.pid');
  writeFileSync(pidFile, `${found.pid} ${found.startTime + 1} m1\n`);
  expect(await programs().find(program(''))).toBeUndefined();
  await programs().end({ ...found, startTime: found.startTime + 1 });
  expect(isAlive(found)).toBe(true);
});

test('F27: one whose record was lost with its agent is found by its file, and known as another', async () => {
  spawnSync('make', ['-s', '-C', NATIVE]);
  spawnSync('cp', [join(NATIVE, 'build/fenceline-fence'), file]);
  const runDir = join(dir, 'run');
  const args = ['--listen', '2', '--run-dir', runDir, '--state-dir', dir];
  const found = await begin('', { args });
  rmSync(join(runDir, 'one.pid'));
  // Not one of its workers, which run that file as well.
  expect(await programs().find(program(''))).toEqual({ ...found, mark: '' });
  const login = spawn(file, ['--run-dir', runDir, '--state-dir', dir], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await programs().end(found);
  // Its workers end with it, a moment later; a session of a login that runs the same file is none.
  const untilMs = Date.now() + 10_000;
  while ((await programs().find(program(''))) !== undefined && Date.now() < untilMs)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await programs().find(program(''))).toBeUndefined();
  expect(login.exitCode).toBeNull();
  login.kill('SIGKILL');
}, 60_000);

test('end: TERM, and KILL for what does not hear it', async () => {
  const obeys = await begin();
  await programs().end(obeys);
  expect(isAlive(obeys)).toBe(false);
  const deaf = await begin(`trap '' TERM; ${LISTENS}`);
  await programs().end(deaf);
  expect(isAlive(deaf)).toBe(false);
}, 20_000);

test('one that ends at once says why, in its own words', async () => {
  const ends = program('echo no port is free >&2; exit 1');
  await expect(programs().start(ends)).rejects.toThrow('it ended: no port is free');
  expect(await programs().find(ends)).toBeUndefined();
  const missing = program('', { file: join(dir, 'missing') });
  await expect(programs().start(missing)).rejects.toThrow("can't be started");
});

test('one that never says that it listens is ended again', async () => {
  const mute = program(LISTENS.replace('echo listening 7;', 'echo hello;'));
  await expect(programs().start(mute)).rejects.toThrow('one');
  expect(await programs().find(mute)).toBeUndefined();
}, 20_000);
