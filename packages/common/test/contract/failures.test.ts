import { spawn, type ChildProcess } from 'node:child_process';
import { createServer as createTcpServer, connect, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { TransportFailure } from '@fenceline/protocol';
import { axiosTransport, systemClock, type TlsFiles } from '../../src/index.js';
import { Certificates } from './certificates.js';
import { failureOf } from './rig.js';

const DEADLINE_MS = 400;
/** Room for a machine that is busy. */
const LATE_MS = 1_500;

const certificates = new Certificates();
const agent = certificates.issue({ unit: 'agent', name: 'h1' });
const server = certificates.issue({ unit: 'server', name: 's1' });
const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listening(what: Server): Promise<number> {
  const sockets = new Set<Socket>();
  what.on('connection', (socket: Socket) => {
    sockets.add(socket);
    // Whatever the client does to a socket is what this test is about.
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => what.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => what.close(() => resolve()));
  });
  return (what.address() as AddressInfo).port;
}

/** A host whose kernel takes no connection: its queue is full and nobody accepts. */
async function blackHole(): Promise<number> {
  const program = `
    require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
      require('node:fs').writeSync(1, String(this.address().port) + '\\n');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60000);
      process.exit();
    });`;
  const child: ChildProcess = spawn(process.execPath, ['-e', program], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {},
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await new Promise<number>((resolve) => {
    child.stdout?.once('data', (data: Buffer) => resolve(Number(String(data))));
  });
  const queued = Array.from({ length: 4 }, () =>
    connect(port, '127.0.0.1').on('error', () => undefined),
  );
  closing.push(async () => {
    for (const socket of queued) socket.destroy();
    child.kill('SIGKILL');
    await ended;
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  return port;
}

function tls(answer: (socket: Socket) => void): Server {
  return createTlsServer({ ...agent, minVersion: 'TLSv1.3' }, (socket) => {
    socket.on('error', () => undefined);
    answer(socket);
  });
}

const HALF = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"suc';

type Peer = () => Promise<number>;

const cases: [TransportFailure, string, Peer][] = [
  [
    'refused',
    'nobody listens',
    async () => {
      const gone = createTcpServer();
      const port = await new Promise<number>((resolve) => {
        gone.listen(0, '127.0.0.1', () => resolve((gone.address() as AddressInfo).port));
      });
      await new Promise((resolve) => gone.close(resolve));
      return port;
    },
  ],
  [
    'reset',
    'the connection is reset',
    () =>
      listening(createTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()))),
  ],
  [
    'reset',
    'it is closed before the handshake is done',
    () => listening(createTcpServer((socket) => socket.once('data', () => socket.destroy()))),
  ],
  [
    'reset',
    'it is cut in the middle of the answer',
    () =>
      listening(
        tls((socket) => socket.once('data', () => socket.write(HALF, () => socket.destroy()))),
      ),
  ],
  [
    'reset',
    'it is closed without an answer',
    () => listening(tls((socket) => socket.once('data', () => socket.end()))),
  ],
  ['timeout', 'a black hole: not even a SYN is answered', blackHole],
  ['timeout', 'TCP is accepted, and then nothing', () => listening(createTcpServer())],
  [
    'timeout',
    'the call is read and never answered',
    () => listening(tls((socket) => socket.resume())),
  ],
  [
    'timeout',
    'the answer never ends',
    () => listening(tls((socket) => socket.once('data', () => socket.write(HALF)))),
  ],
  [
    'tls',
    'no TLS is spoken there',
    () => listening(createTcpServer((socket) => socket.write('SSH-2.0-OpenSSH_9.2p1\r\n'))),
  ],
];

function transportTo(port: number, files: Partial<TlsFiles> = {}) {
  return axiosTransport({ baseUrl: `https://127.0.0.1:${port}`, tls: { ...server, ...files } });
}

const ping = { method: 'POST' as const, path: '/host/ping', fields: {} };

describe('no answer, and why', () => {
  test.each(cases)('%s: %s', async (failure, _, peer) => {
    const port = await peer();
    const beganMs = systemClock.monotonicMs();
    const error = await failureOf(transportTo(port).send(ping, { deadlineMs: DEADLINE_MS }));
    expect(error).toMatchObject({ name: 'TransportError', failure });
    expect(systemClock.monotonicMs() - beganMs).toBeLessThan(DEADLINE_MS + LATE_MS);
  });

  test.each(cases)('of a stream: %s: %s', async (failure, why, peer) => {
    const port = await peer();
    const request = { method: 'GET' as const, path: '/host/watch', fields: {} };
    const signal = new AbortController().signal;
    const items = transportTo(port).open(request, { connectTimeoutMs: DEADLINE_MS, signal });
    const next = items[Symbol.asyncIterator]().next();
    if (why === 'the answer never ends') {
      // An open stream may be silent for as long as it likes: its reader has the limit.
      const silent = Symbol('silent');
      const waited = new Promise((resolve) => setTimeout(resolve, 2 * DEADLINE_MS, silent));
      expect(await Promise.race([next, waited])).toBe(silent);
      next.catch(() => undefined);
      return;
    }
    expect(await failureOf(next)).toMatchObject({ name: 'TransportError', failure });
  });

  test('aborted: the caller does not want it any more', async () => {
    const port = await listening(createTcpServer());
    const stop = new AbortController();
    const error = failureOf(
      transportTo(port).send(ping, { deadlineMs: 60_000, signal: stop.signal }),
    );
    setTimeout(() => stop.abort(), 50);
    expect(await error).toMatchObject({ failure: 'aborted' });
    const before = failureOf(transportTo(port).send(ping, { deadlineMs: 50, signal: stop.signal }));
    expect(await before).toMatchObject({ failure: 'aborted' });
  });

  test('what is left of a deadline may be a fraction, or nothing', async () => {
    const port = await listening(createTcpServer());
    for (const deadlineMs of [0.25, 12.75, 0, -5])
      expect(await failureOf(transportTo(port).send(ping, { deadlineMs }))).toMatchObject({
        failure: 'timeout',
      });
  });

  test.each([
    ['a certificate of an authority that is not ours', { authority: 'foreign' as const }],
    ['a certificate of another address', { address: '127.0.0.9' }],
  ])('tls: %s', async (_, subject) => {
    const files = certificates.issue({ unit: 'agent', name: 'h1', ...subject });
    const peer = createTlsServer({ ...files, minVersion: 'TLSv1.3' }, (socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'),
    );
    const port = await listening(peer);
    const error = await failureOf(transportTo(port).send(ping, { deadlineMs: 5_000 }));
    expect(error).toMatchObject({ name: 'TransportError', failure: 'tls' });
  });
});
