import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer as createTcp, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { systemClock, type TlsFiles } from '@fenceline/common';
import { makeTestCa } from '@fenceline/common/testing';
import type { Dialed } from '../sshDialer.js';
import { tlsDialer } from './tlsDialer.js';

// A door that the test plays: real TLS on real sockets.

const ca = makeTestCa();
const own = ca.issue({ name: 'h2', role: 'sibling' });
const host = ca.issue({ name: 'h1', role: 'sibling' });
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  );
}
const door = (as: TlsFiles, serve: (guest: TLSSocket) => void = () => undefined) => {
  const options = { ...as, requestCert: true, rejectUnauthorized: true };
  return listen(
    createServer(options, (guest) => {
      guest.on('error', () => undefined);
      serve(guest);
    }),
  );
};
const dial = (
  port: number,
  over: Partial<Parameters<ReturnType<typeof tlsDialer>['dial']>[1]> = {},
) =>
  tlsDialer(systemClock, own).dial(
    { addresses: ['127.0.0.1'], port },
    {
      ...{ connectMs: 2_000, totalMs: 3_000, maxOutputBytes: 4_096 },
      signal: new AbortController().signal,
      ...over,
    },
  );
const failure = (dialed: Dialed): string => (dialed.ok ? 'none' : dialed.failure);

test('F27: lines both ways through a door of a host of ours', async () => {
  const port = await door(host, (guest) => {
    guest.write('fenceline-fence 1 line=1\n');
    guest.on('data', (said) => guest.write(`heard ${String(said)}`));
  });
  const dialed = await dial(port);
  if (!dialed.ok) throw new Error(dialed.failure);
  expect(await dialed.session.nextLine()).toBe('fenceline-fence 1 line=1');
  dialed.session.writeLine('ping 1');
  expect(await dialed.session.nextLine()).toBe('heard ping 1');
  expect(dialed.stages.map(({ name }) => name)).toEqual(['connect', 'kex']);
  dialed.session.close();
  expect(await dialed.session.ended).toEqual({ kind: 'closed' });
});

test('F27: the end of the other side ends the session', async () => {
  const dialed = await dial(await door(host, (guest) => guest.end('last words\n')));
  if (!dialed.ok) throw new Error(dialed.failure);
  expect(await dialed.session.nextLine()).toBe('last words');
  expect(await dialed.session.nextLine()).toBeUndefined();
});

test('F25: more output than its bound ends the session', async () => {
  const dialed = await dial(await door(host, (guest) => guest.write('x\n'.repeat(9_000))));
  if (!dialed.ok) throw new Error(dialed.failure);
  expect(await dialed.session.ended).toEqual({ kind: 'tooMuchOutput' });
});

describe('F27: nothing is said to', () => {
  test.each<[string, TlsFiles]>([
    ['a machine of another authority', makeTestCa().issue({ name: 'h1', role: 'sibling' })],
    [
      'a machine of ours with another address',
      ca.issue({ name: 'h1', role: 'sibling', hosts: ['192.0.2.1'] }),
    ],
    ['the server', ca.issue({ name: 'server', role: 'server' })],
    ['a certificate without a role', ca.issue({ name: 'h1' })],
  ])('%s', async (_who, as) => {
    let heard = 0;
    const port = await door(as, (guest) => guest.on('data', () => (heard += 1)));
    expect(failure(await dial(port))).toBe('hostKeyMismatch');
    expect(heard).toBe(0);
  });
});

describe('what no door looks like', () => {
  test('a closed port, and one that says nothing, and one that speaks otherwise', async () => {
    const silent = await listen(createTcp(() => undefined));
    expect(failure(await dial(silent, { totalMs: 300 }))).toBe('noBanner');
    const other = await listen(createTcp((socket) => socket.end('SSH-2.0-OpenSSH\r\n')));
    expect(failure(await dial(other))).toBe('kexFailed');
    const closes = await listen(createTcp((socket) => socket.destroy()));
    expect(failure(await dial(closes))).toBe('dropped');
    const gone = createTcp();
    const port = await listen(gone);
    gone.close();
    expect(failure(await dial(port))).toBe('refused');
  });

  test('the signal ends it at once', async () => {
    const silent = await listen(createTcp(() => undefined));
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    expect(failure(await dial(silent, { signal: stop.signal }))).toBe('aborted');
  });
});
