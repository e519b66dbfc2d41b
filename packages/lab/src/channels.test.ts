import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { expect, test } from '@jest/globals';
import { powerDeviceMode } from './cli/powerDeviceMode.js';
import { encodeWord } from './daemon/services.js';
import { within } from './limits.js';
import { LineChannel } from './lineChannel.js';
import { identify, isAlive, isRunning, killProcess } from './processes.js';
import { missingPackages } from './requirements.js';
import { mustRun, run } from './run.js';
import { callRpc, serveRpc } from './rpc.js';

/** The other side of a channel: notes what it is told, says what it is made to say. */
class Helper extends Duplex {
  readonly told: string[] = [];
  override _read(): void {}
  override _write(data: Buffer, _: string, done: () => void): void {
    this.told.push(String(data));
    done();
  }
}

test('questions are answered in order, events in between, broken lines put together', async () => {
  const helper = new Helper();
  const channel = new LineChannel(helper, (line) => line.startsWith('ended '));
  const events: string[] = [];
  channel.onEvent((line) => events.push(line));
  const answers = Promise.all([channel.ask('list'), channel.ask('free x').catch(String)]);
  helper.push('service a 1 0\nser');
  helper.push('vice b 0 1\nended b 137\nok\nerror no such service\n');
  expect(await answers).toEqual([['service a 1 0', 'service b 0 1'], 'LabError: no such service']);
  expect(events).toEqual(['ended b 137']);
  expect(helper.told).toEqual(['list\n', 'free x\n']);
});

test('a helper that dies leaves no question unanswered', async () => {
  const helper = new Helper();
  const channel = new LineChannel(helper, () => false);
  const asked = channel.ask('list');
  helper.destroy();
  await expect(asked).rejects.toThrow(/ended before/);
  await expect(channel.ask('list')).rejects.toThrow(/gone/);
});

test.each([
  ['plain', 'plain'],
  ['a b', 'a%20b'],
  ['100%', '100%25'],
  ['x\ny\tz', 'x%0ay%09z'],
  ['', ''],
  ['größe', 'größe'],
])('the word %j goes to pid 1 as %j', (word, encoded) => {
  expect(encodeWord(word)).toBe(encoded);
});

test('a call over a unix socket: result, error, silence, nobody there', async () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'fenceline-rpc-'));
  const socket = path.join(dir, 's');
  const server = await serveRpc(socket, (request, gone) => {
    if (request === 'fail') return Promise.reject(new Error('no such thing'));
    if (request !== 'hang') return Promise.resolve({ got: request });
    return new Promise((_, reject) => gone.addEventListener('abort', () => reject(gone.reason)));
  });
  try {
    expect(await callRpc(socket, { a: 1 }, 1_000)).toEqual({ got: { a: 1 } });
    await expect(callRpc(socket, 'fail', 1_000)).rejects.toThrow('no such thing');
    await expect(callRpc(socket, 'hang', 50)).rejects.toThrow(/within 50 ms/);
    await expect(callRpc(path.join(dir, 'none'), 1, 1_000)).rejects.toThrow(/cannot be reached/);
  } finally {
    server.close();
    rmSync(dir, { recursive: true });
  }
});

test('a process is known by pid and start time: a wrong start time is another process', () => {
  const me = identify(process.pid);
  if (!me) throw new Error('this process does not exist');
  expect(isAlive(me) && isRunning(me)).toBe(true);
  const other = { pid: me.pid, start: me.start + 1 };
  expect(isAlive(other) || isRunning(other)).toBe(false);
  // safety: were the start time not looked at, this would be the end of this test
  expect(killProcess(other)).toBe(false);
});

test('programs: exit code, output, input, limit, absence', async () => {
  expect(await run(['sh', '-c', 'cat; echo e >&2; exit 3'], { input: 'x' })).toEqual({
    code: 3,
    stdout: 'x',
    stderr: 'e\n',
    timedOut: false,
  });
  expect(await run(['sleep', '10'], { timeoutMs: 50 })).toMatchObject({
    code: 137,
    timedOut: true,
  });
  await expect(run(['no-such-program-here'])).rejects.toThrow(/not installed/);
  await expect(mustRun(['sh', '-c', 'echo why >&2; false'])).rejects.toThrow(/why/);
});

test('a wait has an end', async () => {
  await expect(within(10, 'the impossible', new Promise(() => undefined))).rejects.toThrow(
    'the impossible: no answer within 10 ms.',
  );
});

test('an empty search path misses what is not in the system folders', () => {
  const names = missingPackages('').map((missing) => missing.package);
  expect(new Set(names).size).toBe(names.length);
});

test('modes of the power device', () => {
  expect(powerDeviceMode(['slow', '500'])).toEqual({ mode: 'slow', ms: 500 });
  expect(powerDeviceMode(['lying'])).toEqual({ mode: 'lying' });
  expect(powerDeviceMode(['stuck', 'h1-b'])).toEqual({ mode: 'stuck', plug: 'h1-b' });
  expect(() => powerDeviceMode(['stuck', 'x'])).toThrow(/no lab host/);
  expect(() => powerDeviceMode(['slow'])).toThrow(/dead, lying/);
});
