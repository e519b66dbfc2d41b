import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { makeTestCa } from '@fenceline/common/testing';

// The real door, built with the sanitizers, before a program that the test plays.

const native = join(import.meta.dirname, '../../../../native');
const DOOR = join(native, 'build/fenceline-door-checked');
const RELAY = join(native, 'build/relay');
const ca = makeTestCa();
const own = ca.issue({ name: 'h1', role: 'sibling' });
const sibling = ca.issue({ name: 'h2', role: 'sibling' });

const ends: (() => Promise<void> | void)[] = [];
beforeAll(() => {
  execFileSync('make', ['-s', '-C', native, 'build/fenceline-door-checked', 'build/relay']);
}, 120_000);
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

interface House {
  port: number;
  /** What came to the program, whole, when its guest said that no more comes. */
  heard: Promise<string>;
  /** Connections to the program so far. */
  guests: () => number;
}

/** A door with a program behind it that answers each guest with `answer` of all that it said. */
async function makeHouse(answer: (said: Buffer) => string | Buffer = () => ''): Promise<House> {
  const dir = mkdtempSync(join(tmpdir(), 'fenceline-door-'));
  ends.push(() => rmSync(dir, { recursive: true }));
  for (const part of ['ca', 'cert', 'key'] as const) writeFileSync(join(dir, part), own[part]);
  let hear: (all: string) => void = () => undefined;
  const heard = new Promise<string>((resolve) => (hear = resolve));
  let guests = 0;
  const socket = join(dir, 'fence.sock');
  const program = createServer({ allowHalfOpen: true }, (guest) => {
    guests += 1;
    const said: Buffer[] = [];
    guest.on('error', () => undefined);
    guest.on('data', (data) => said.push(data));
    guest.on('end', () => {
      const all = Buffer.concat(said);
      hear(all.toString('latin1'));
      guest.end(answer(all));
    });
  });
  await listening(program, socket);
  const { port } = await open(dir, socket);
  return { port, heard, guests: () => guests };
}

/** The program's socket, which hands out pipes, in front of a server of the test's. */
async function listening(server: Server, path: string): Promise<void> {
  const plain = `${path}.plain`;
  await new Promise<void>((resolve) => server.listen(plain, resolve));
  ends.push(() => void server.close());
  const relay = spawn(RELAY, ['program', path, plain], { stdio: ['ignore', 'pipe', 'inherit'] });
  ends.push(() => void relay.kill('SIGKILL'));
  await new Promise((resolve) => relay.stdout.once('data', resolve));
}

async function open(dir: string, socket: string): Promise<{ port: number; door: ChildProcess }> {
  const files = ['ca', 'cert', 'key'].flatMap((name) => [`--${name}`, join(dir, name)]);
  const args = ['--address', '127.0.0.1', '--port', '0', ...files, '--socket', socket];
  const door = spawn(DOOR, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const told: string[] = [];
  door.stderr.setEncoding('utf8').on('data', (text: string) => told.push(text));
  const gone = new Promise<void>((resolve) => door.on('exit', () => resolve()));
  ends.push(async () => {
    door.kill('SIGKILL');
    await gone;
    // A defect that a sanitizer saw ends the door before its time.
    expect(told.join('')).not.toContain('Sanitizer');
    expect(door.signalCode).toBe('SIGKILL');
  });
  const first = await new Promise<string>((resolve, reject) => {
    door.stdout.setEncoding('utf8').once('data', resolve);
    door.once('exit', (code) => reject(new Error(`it ended with ${code}: ${told.join('')}`)));
  });
  return { port: Number(first.replace('listening ', '')), door };
}

function knock(port: number, as: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({ host: '127.0.0.1', port, ...sibling, minVersion: 'TLSv1.3', ...as });
  socket.on('error', () => undefined);
  ends.push(() => void socket.destroy());
  return socket;
}

/** A guest who has come to the program, and stays. */
async function enter(house: House, as: ConnectionOptions = {}): Promise<TLSSocket> {
  const before = house.guests();
  const socket = knock(house.port, { ...as, ca: own.ca });
  for (let turn = 0; turn < 500 && house.guests() === before; turn += 1)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(house.guests()).toBe(before + 1);
  return socket;
}

/** Says all of it, then that no more comes; what the other side answered until it ended. */
function converse(socket: TLSSocket, words: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const said: Buffer[] = [];
    socket.on('data', (data: Buffer) => said.push(data));
    socket.on('close', () => resolve(Buffer.concat(said).toString('latin1')));
    socket.end(words);
  });
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.on('close', () => resolve()));

describe('the second way in (F27)', () => {
  test('an order and its answer pass unchanged, and the end of the order comes first', async () => {
    const house = await makeHouse((said) => `answer to ${said.length} bytes`);
    expect(await converse(knock(house.port), 'fence this')).toBe('answer to 10 bytes');
    expect(await house.heard).toBe('fence this');
  });

  test('megabytes pass in both directions, in order', async () => {
    const big = Buffer.alloc(4_000_000, 'abcdefg');
    const house = await makeHouse((said) => Buffer.concat([said, said]));
    const answer = await converse(knock(house.port), big);
    expect(answer).toBe(big.toString('latin1').repeat(2));
  });

  test('the answer comes before the guest has said that no more comes: a line stays open', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'fenceline-door-'));
    ends.push(() => rmSync(dir, { recursive: true }));
    for (const part of ['ca', 'cert', 'key'] as const) writeFileSync(join(dir, part), own[part]);
    const program = createServer((guest) =>
      guest.on('data', (data) => guest.write(`pong ${String(data)}`)),
    );
    await listening(program, join(dir, 'fence.sock'));
    const { port } = await open(dir, join(dir, 'fence.sock'));
    const line = knock(port);
    for (const word of ['one', 'two', 'three']) {
      const answer = new Promise<Buffer>((resolve) => line.once('data', resolve));
      line.write(word);
      expect(String(await answer)).toBe(`pong ${word}`);
    }
  });

  test.each<[string, ConnectionOptions]>([
    ['no certificate', { cert: undefined, key: undefined }],
    ['a certificate of another authority', makeTestCa().issue({ name: 'h2', role: 'sibling' })],
    ['the server, which has its own ways', ca.issue({ name: 'server', role: 'server' })],
    ['a certificate without a role', ca.issue({ name: 'h2' })],
    ['a role that only begins like one', ca.issue({ name: 'h2', role: 'sibling2' })],
    ['TLS 1.2', { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }],
  ])('safety: F27: nothing reaches the program from %s', async (_who, as) => {
    const house = await makeHouse(() => 'never');
    expect(await converse(knock(house.port, { ...as, ca: own.ca }), 'fence this')).toBe('');
    // A sibling that comes later is the only one that the program has ever seen.
    await converse(knock(house.port), 'fence that');
    expect(await house.heard).toBe('fence that');
    expect(house.guests()).toBe(1);
  });

  test('F27: those who never say who they are do not keep a sibling out', async () => {
    const house = await makeHouse(() => 'welcome');
    const silent = Array.from({ length: 40 }, () => connectTcp(house.port, '127.0.0.1'));
    for (const one of silent) ends.push(() => void one.destroy());
    await Promise.all(silent.map((one) => new Promise((resolve) => one.once('connect', resolve))));
    expect(await converse(knock(house.port), 'fence this')).toBe('welcome');
  });

  test('safety: F27: one certificate has two guests at a time: a third ends its oldest, and nobody else', async () => {
    const house = await makeHouse((said) => `answer to ${String(said)}`);
    const other = await enter(house, ca.issue({ name: 'h3', role: 'sibling' }));
    const over = closed((await enter(house)).resume());
    const second = await enter(house);
    const third = await enter(house);
    await over;
    for (const [guest, word] of [
      [other, 'another sibling'],
      [third, 'the newest'],
      [second, 'the one before it'],
    ] as const)
      expect(await converse(guest, word)).toBe(`answer to ${word}`);
  });

  test('F27: one certificate that comes again and again does not fill the door', async () => {
    const house = await makeHouse(() => 'welcome');
    const line = await enter(house, ca.issue({ name: 'h3', role: 'sibling' }));
    for (let n = 0; n < 20; n += 1) await enter(house);
    const last = knock(house.port, ca.issue({ name: 'h4', role: 'sibling' }));
    expect(await converse(last, 'fence this')).toBe('welcome');
    expect(await converse(line, 'that, too')).toBe('welcome');
  });

  test('a handshake that never comes to its end is given up', async () => {
    const house = await makeHouse();
    const silent = connectTcp(house.port, '127.0.0.1');
    await closed(silent.resume());
    expect(house.guests()).toBe(0);
  });

  test('without a program behind it the guest is told by the end of the connection', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'fenceline-door-'));
    ends.push(() => rmSync(dir, { recursive: true }));
    for (const part of ['ca', 'cert', 'key'] as const) writeFileSync(join(dir, part), own[part]);
    const { port } = await open(dir, join(dir, 'nobody.sock'));
    expect(await converse(knock(port), 'fence this')).toBe('');
  });

  test('garbage in place of a handshake ends that connection and nothing else', async () => {
    const house = await makeHouse(() => 'welcome');
    const rude = connectTcp(house.port, '127.0.0.1');
    rude.on('error', () => undefined);
    rude.resume().write(Buffer.alloc(70_000, 0xff));
    await closed(rude);
    expect(await converse(knock(house.port), 'fence this')).toBe('welcome');
  });
});

describe('its start', () => {
  const run = (args: string[]): { status: number | null; stderr: string } => {
    const child = spawnToEnd(args);
    return { status: child.status, stderr: child.stderr };
  };
  test.each<[string, string[], number, string]>([
    ['no options', [], 2, 'an option is missing'],
    ['a port that is none', ['--port', '70000'], 2, '--port: 0 to 65535'],
    ['an option that it does not know', ['--prot', '1'], 2, 'an option that is not known'],
    ['an option without its value', ['--port'], 2, 'an option without its value'],
    [
      'files that are not there',
      ['--port', '0', '--ca', '/none', '--cert', '/none', '--key', '/none', '--socket', '/none'],
      1,
      "can't use /none, /none and /none",
    ],
  ])('refused with its reason: %s', (_what, args, status, why) => {
    const ended = run(args);
    expect(ended.stderr).toContain(why);
    expect(ended.status).toBe(status);
  });

  test('F26: its memory is locked and the OOM killer chooses others, or it says that it is not so', async () => {
    const { pid, ready, told } = spawnStatic();
    await ready;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const lockedKiB = Number(/VmLck:\s+(\d+) kB/.exec(status)?.[1]);
    const score = readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim();
    expect(told().includes('memory is not locked')).toBe(lockedKiB < 4_096);
    expect(told().includes('the OOM killer may choose it')).toBe(score !== '-1000');
  });
});

function spawnToEnd(args: string[]): { status: number | null; stderr: string } {
  try {
    execFileSync(DOOR, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
    return { status: 0, stderr: '' };
  } catch (error) {
    const { status, stderr } = error as { status: number | null; stderr: string };
    return { status, stderr };
  }
}

interface Started {
  pid: number | undefined;
  ready: Promise<void>;
  /** Its standard error so far. */
  told: () => string;
}

/** The door as agents install it. */
function spawnStatic(): Started {
  execFileSync('make', ['-s', '-C', native, 'door']);
  const dir = mkdtempSync(join(tmpdir(), 'fenceline-door-'));
  for (const part of ['ca', 'cert', 'key'] as const) writeFileSync(join(dir, part), own[part]);
  const files = ['ca', 'cert', 'key'].flatMap((name) => [`--${name}`, join(dir, name)]);
  const args = ['--address', '127.0.0.1', '--port', '0', ...files, '--socket', '/none'];
  const door = spawn(join(native, 'build/fenceline-door'), args, {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let told = '';
  door.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
  ends.push(() => {
    door.kill('SIGKILL');
    rmSync(dir, { recursive: true });
  });
  const ready = new Promise<void>((resolve) => door.stdout.once('data', () => resolve()));
  return { pid: door.pid, ready, told: () => told };
}
