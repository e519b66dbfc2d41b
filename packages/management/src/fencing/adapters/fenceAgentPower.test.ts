import { setTimeout } from 'node:timers/promises';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeLogger, type LogLine } from '@fenceline/common';
import { PowerDeviceError, type PowerDevice } from '../power/powerDevice.js';
import { fenceAgentPower } from './fenceAgentPower.js';

const CANARY = 'canary-8d1f';
let dir = '';
let lines: LogLine[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fenceline-power-'));
  lines = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A fence program of a few shell lines; it finds its own directory in `$d`. */
function program(body: string): string {
  const file = join(dir, 'fence_test');
  writeFileSync(file, `#!/bin/sh\nd=${dir}\n${body}\n`);
  chmodSync(file, 0o700);
  return file;
}

const device = (agent: string) => ({ agent, parameters: { plug: 'h1', password: CANARY } });

const limit = { timeoutMs: 5_000 };
const makePower = (): PowerDevice =>
  fenceAgentPower({ log: makeLogger((line) => lines.push(line)), path: process.env['PATH'] ?? '' });

/** Remembers what it was told, and reads back what it did. */
const HONEST = `
while IFS= read -r line; do echo "$line" >> $d/stdin; case $line in action=*) a=\${line#action=};; esac; done
echo "$@" > $d/argv; env > $d/env
case $a in
  off) rm -f $d/power;;
  on) : > $d/power;;
  status) if [ -e $d/power ]; then echo "Status: ON"; exit 0; else echo "Status: OFF"; exit 2; fi;;
esac`;

test('powerOff: off, read back by a call of its own, on, read back', async () => {
  const power = makePower();
  const host = device(program(HONEST));
  await power.on(host, limit);
  expect(await power.status(host, limit)).toBe('on');
  await power.off(host, limit);
  expect(await power.status(host, limit)).toBe('off');
  await power.on(host, limit);
  expect(await power.status(host, limit)).toBe('on');
});

test('F28: parameters reach the program on standard input only, and nothing of them is logged', async () => {
  const power = makePower();
  const host = device(program(`${HONEST}; echo "the password is ${CANARY}"; exit 1`));
  const failure = await power.off(host, limit).catch((error: unknown) => error);
  expect(readFileSync(join(dir, 'stdin'), 'utf8')).toContain(`password=${CANARY}`);
  expect(readFileSync(join(dir, 'argv'), 'utf8')).not.toContain(CANARY);
  expect(readFileSync(join(dir, 'env'), 'utf8')).not.toContain(CANARY);
  expect(failure).toBeInstanceOf(PowerDeviceError);
  expect(String(failure)).not.toContain(CANARY);
  expect(JSON.stringify(lines)).not.toContain(CANARY);
});

test('powerOff: "Success: Powered OFF" of a command is not a reading', async () => {
  const power = makePower();
  const host = device(program('cat > /dev/null; echo "Success: Powered OFF"; echo "Status: ON"'));
  await power.off(host, limit);
  expect(await power.status(host, limit)).toBe('on');
});

test('a program that hangs is ended with what it started, and reads unknown', async () => {
  const short = { timeoutMs: 300 };
  const power = makePower();
  const host = device(program('sleep 60 & echo $! > $d/child; wait'));
  await expect(power.off(host, short)).rejects.toMatchObject({ failure: 'timedOut' });
  const child = Number(readFileSync(join(dir, 'child'), 'utf8'));
  // SIGKILL is sent by then; the kernel ends it a moment later.
  for (let i = 0; i < 500 && isRunning(child); i += 1) await setTimeout(10);
  expect(isRunning(child)).toBe(false);
  expect(await power.status(host, short)).toBe('unknown');
});

test('a program that does not exist says what to do; status is unknown', async () => {
  const power = makePower();
  const host = device(join(dir, 'fence_absent'));
  await expect(power.on(host, limit)).rejects.toThrow(/fence-agents installed/);
  expect(await power.status(host, limit)).toBe('unknown');
  expect(existsSync(join(dir, 'power'))).toBe(false);
});

test('output beyond the bound is dropped and does not stop the program', async () => {
  const power = makePower();
  const host = device(
    program(
      'cat > /dev/null; head -c 1000000 /dev/zero | tr "\\0" "x"; echo; echo "Status: OFF"; exit 2',
    ),
  );
  expect(await power.status(host, limit)).toBe('unknown');
});

function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/\) [ZX] /.test(stat);
  } catch {
    return false;
  }
}
