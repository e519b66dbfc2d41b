import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const program = join(dirname(fileURLToPath(import.meta.url)), 'leftovers.ts');
const RUN = 'run-of-this-test';
let folder = '';
const ending: (() => Promise<void>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fenceline-left-'));
});

afterEach(async () => {
  for (const end of ending.splice(0)) await end();
  rmSync(folder, { recursive: true });
});

function look(): Promise<{ status: number; out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, RUN, folder], (error, out) => {
      resolve({ status: error === null ? 0 : Number(error.code), out });
    });
  });
}

async function start(command: string[], options: { env?: Record<string, string>; cwd?: string }) {
  const [first = '', ...rest] = command;
  const env = { PATH: '/bin:/usr/bin' };
  const child = spawn(first, rest, { stdio: 'ignore', detached: true, env, ...options });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise((resolve) => child.once('spawn', resolve));
  ending.push(() => {
    // A shell does not take its own child along: the whole group ends.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    return gone;
  });
}

describe('what a test run left behind', () => {
  test('nothing', async () => {
    await start(['sleep', '60'], { env: { FENCELINE_TEST_RUN: 'another run' } });
    expect(await look()).toEqual({ status: 0, out: '' });
  });

  test.each<[string, () => Promise<void>]>([
    ['by its mark', () => start(['sleep', '61'], { env: { FENCELINE_TEST_RUN: RUN } })],
    ['by where it works', () => start(['sleep', '62'], { cwd: folder })],
    ['by its words', () => start(['sh', '-c', `sleep 63; : ${folder}`], {})],
  ])('a process, known %s', async (_, leave) => {
    await leave();
    const { status, out } = await look();
    expect(status).toBe(1);
    expect(out).toMatch(/^left behind: process \d+: (?:sleep 6\d|sh -c sleep 63)/);
  });
});
