import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Secret, systemClock } from '@fenceline/common';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';
import { gatedDialer } from '../loginGate.js';
import type { FenceOrder } from '../order.js';
import { runOrder, type OrderResult } from '../runOrder.js';
import type { Dialed, DialFailureKind, DialLimits, DialTarget } from '../sshDialer.js';
import { failureOfErrno } from './connectFirst.js';
import { worksAsKey } from './fenceKeys.js';
import { ssh2Dialer } from './ssh2Dialer.js';

// Real sockets on loopback: a small SSH server that fails in every way that a host can.

/** The library makes an unreadable one now and then. */
function newKey(): ReturnType<typeof ssh2.utils.generateKeyPairSync> {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    if (worksAsKey(pair.private)) return pair;
  }
}
const hostKey = newKey();
const clientKey = newKey();
const otherKey = newKey();
const HOST = 'aaaaaaaa-2222-3333-4444-555555555555';
const VM = '11111111-2222-3333-4444-555555555555';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  );
}

interface SshBehaviour {
  auth?: 'accept' | 'reject' | 'silent';
  exec?: 'accept' | 'reject' | 'silent';
  program?: (channel: ServerChannel) => void;
}

function sshd(behaviour: SshBehaviour = {}): Promise<number> {
  const server = new ssh2.Server({ hostKeys: [hostKey.private] }, (client: Connection) => {
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      if (behaviour.auth === 'silent') return;
      if (behaviour.auth === 'reject' || context.method !== 'publickey') context.reject();
      else context.accept();
    });
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec, reject) => {
        if (behaviour.exec === 'silent') return;
        if (behaviour.exec === 'reject') reject();
        else behaviour.program?.(acceptExec());
      });
    });
  });
  return listen((socket) => server.injectSocket(socket));
}

const limits = (over: Partial<DialLimits> = {}): DialLimits => ({
  connectMs: 500,
  totalMs: 800,
  maxOutputBytes: 65_536,
  signal: new AbortController().signal,
  ...over,
});
const target = (port: number, over: Partial<DialTarget> = {}): DialTarget => ({
  addresses: ['127.0.0.1'],
  port,
  username: 'root',
  hostKeys: [hostKey.public],
  ...over,
});
const dialer = ssh2Dialer({
  clock: systemClock,
  privateKey: async () => new Secret(clientKey.private),
});

async function failureOf(dialed: Promise<Dialed>): Promise<DialFailureKind | 'none'> {
  const result = await dialed;
  if (!result.ok) return result.failure;
  result.session.close();
  return 'none';
}

describe('F23: how each failure is told apart', () => {
  test('refused: nobody listens', async () => {
    const port = await listen(() => undefined);
    closers.splice(0).forEach((close) => close());
    expect(await failureOf(dialer.dial(target(port), limits()))).toBe('refused');
  });

  test.each<[string, (socket: Socket) => void, DialFailureKind]>([
    ['no banner ever (frozen host, stopped sshd)', () => undefined, 'noBanner'],
    ['closed before the banner (MaxStartups)', (socket) => socket.end(), 'dropped'],
    ['reset before the banner', (socket) => socket.resetAndDestroy(), 'dropped'],
    ['banner, then silence', (socket) => socket.write('SSH-2.0-x\r\n'), 'kexFailed'],
    ['banner, then closed', (socket) => socket.end('SSH-2.0-x\r\n'), 'kexFailed'],
    [
      'not SSH at all',
      (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(99)),
      'kexFailed',
    ],
    ['an endless line', (socket) => socket.write('x'.repeat(200_000)), 'kexFailed'],
  ])('F23: %s', async (_what, onSocket, failure) => {
    const port = await listen(onSocket);
    const begun = performance.now();
    expect(await failureOf(dialer.dial(target(port), limits()))).toBe(failure);
    expect(performance.now() - begun).toBeLessThan(1_300);
  });

  test.each<[string, SshBehaviour, Partial<DialTarget>, DialFailureKind | 'none']>([
    ['a login that works', { program: () => undefined }, {}, 'none'],
    ['the key is not accepted', { auth: 'reject' }, {}, 'authFailed'],
    ['auth never decides', { auth: 'silent' }, {}, 'authFailed'],
    ['no command is allowed', { exec: 'reject' }, {}, 'channelClosed'],
    ['the command is never answered', { exec: 'silent' }, {}, 'channelClosed'],
    ['another host key than pinned', {}, { hostKeys: [otherKey.public] }, 'hostKeyMismatch'],
    ['no host key is pinned', {}, { hostKeys: [] }, 'localError'],
    ['a pinned key that is no key', {}, { hostKeys: ['ssh-ed25519'] }, 'hostKeyMismatch'],
    ['no address', {}, { addresses: [] }, 'localError'],
  ])('F23: %s', async (_what, behaviour, over, failure) => {
    const port = await sshd(behaviour);
    expect(await failureOf(dialer.dial(target(port, over), limits()))).toBe(failure);
  });

  test('F23: one of several pinned keys is enough', async () => {
    const port = await sshd({ program: () => undefined });
    const over = { hostKeys: [otherKey.public, hostKey.public] };
    expect(await failureOf(dialer.dial(target(port, over), limits()))).toBe('none');
  });

  test('a key that can not be had is a fault of this side', async () => {
    const port = await sshd();
    const keyless = ssh2Dialer({
      clock: systemClock,
      privateKey: () => Promise.reject(new Error('no such file')),
    });
    expect(await failureOf(keyless.dial(target(port), limits()))).toBe('localError');
    const broken = ssh2Dialer({ clock: systemClock, privateKey: async () => new Secret('x') });
    expect(await failureOf(broken.dial(target(port), limits()))).toBe('localError');
  });

  test('the caller’s signal ends it at once', async () => {
    const port = await listen(() => undefined);
    const stop = new AbortController();
    const dialed = dialer.dial(target(port), limits({ signal: stop.signal, totalMs: 60_000 }));
    setTimeout(() => stop.abort(), 30);
    expect(await failureOf(dialed)).toBe('aborted');
    expect(await failureOf(dialer.dial(target(port), limits({ signal: stop.signal })))).toBe(
      'aborted',
    );
  });

  test('the next address is tried when one refuses', async () => {
    const port = await sshd({ program: () => undefined });
    const dialed = await dialer.dial(
      target(port, { addresses: ['127.0.0.2', '127.0.0.1'] }),
      limits(),
    );
    expect(dialed.ok && dialed.address).toBe('127.0.0.1');
    if (dialed.ok) dialed.session.close();
  });

  test.each([
    ['EHOSTUNREACH', 'hostUnreachable'],
    ['EHOSTDOWN', 'hostUnreachable'],
    ['ENETUNREACH', 'netUnreachable'],
    ['ECONNREFUSED', 'refused'],
    ['ETIMEDOUT', 'connectTimeout'],
    ['ECONNRESET', 'dropped'],
    ['EMFILE', 'localError'],
    [undefined, 'localError'],
  ])('F23: errno %s is %s', (code, failure) => {
    expect(failureOfErrno(code)).toBe(failure);
  });
});

const order: FenceOrder = {
  mode: 'fence',
  nonce: '00112233445566778899aabbccddeeff',
  hostUuid: HOST,
  deadlineMs: 500,
  killGraceMs: 0,
  vms: [{ vmUuid: VM, fenceEpoch: 7, disks: [] }],
};
const END = `end ${order.nonce} host=${HOST} boot=b pidns=1 uid=0 control=ok`;

async function give(
  program: (channel: ServerChannel) => void,
): Promise<OrderResult & { stdoutBytes: number; sha256: string }> {
  const port = await sshd({ program });
  const dialed = await dialer.dial(target(port), limits());
  if (!dialed.ok) throw new Error(dialed.failure);
  const signal = new AbortController().signal;
  const result = await runOrder(dialed.session, order, {
    clock: systemClock,
    limitMs: 700,
    signal,
  });
  return { ...result, ...dialed.session.output() };
}

describe('F22: how a session ends', () => {
  test('the whole answer', async () => {
    const heard: string[] = [];
    const { answer, end, stdoutBytes, sha256 } = await give((channel) => {
      channel.on('data', (chunk: Buffer) => {
        heard.push(chunk.toString());
        if (!heard.join('').includes(`vm ${VM} epoch=7\n`)) return;
        channel.write(`fenceline-fence 1\nverdict ${VM} dead `);
        channel.write(`barrier=disk\n${END}\n`);
        channel.stderr.write('noise');
        channel.exit(0);
        channel.end();
      });
    });
    expect(end).toEqual({ kind: 'exit', code: 0 });
    expect(answer.end?.nonce).toBe(order.nonce);
    expect(answer.vms.get(VM)?.verdict).toBe('dead');
    expect(heard.join('')).toMatch(/^fenceline-peer 1\nfence [0-9a-f]{32} token=- /);
    expect(stdoutBytes).toBeGreaterThan(100);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each<[string, (channel: ServerChannel) => void, object | undefined]>([
    ['a signal', (c) => (c.exit('KILL'), c.end()), { kind: 'signal', signal: 'SIGKILL' }],
    ['137 from a shell', (c) => (c.exit(137), c.end()), { kind: 'signal', signal: 'SIGKILL' }],
    ['closed without a word', (c) => c.close(), { kind: 'closed' }],
    [
      'exit 2',
      (c) => (c.write('refused bad-order\n'), c.exit(2), c.end()),
      { kind: 'exit', code: 2 },
    ],
    ['silence to the deadline', () => undefined, undefined],
  ])('F22: %s', async (_what, program, end) => {
    expect((await give(program)).end).toEqual(end);
  });

  test('F25: 10 MB of output stop at the limit', async () => {
    const { end, stdoutBytes } = await give((channel) => {
      channel.write('fenceline-fence 1\n');
      channel.write(`${'noise '.repeat(100)}\n`.repeat(17_000));
      channel.on('error', () => undefined);
    });
    expect(end).toEqual({ kind: 'tooMuchOutput' });
    expect(stdoutBytes).toBeLessThan(65_536 * 3);
  });

  test('F25: a line without end stops, too', async () => {
    const { end } = await give((channel) => void channel.write('x'.repeat(20_000)));
    expect(end).toEqual({ kind: 'tooMuchOutput' });
  });

  test('F22: a complete answer does not wait for a channel that somebody keeps open', async () => {
    const { answer, end } = await give(
      (channel) => void channel.write(`fenceline-fence 1\n${END}\n`),
    );
    expect(end).toBeUndefined();
    expect(answer.end).toBeDefined();
  });

  test('F22: what comes behind the end takes it back', async () => {
    const { answer } = await give((channel) => {
      channel.write(`fenceline-fence 1\n${END}\n`);
      setTimeout(() => (channel.write('more\n'), channel.exit(0), channel.end()), 50);
    });
    expect(answer.end).toBeUndefined();
  });
});

describe('many logins', () => {
  test('only a dropped login is repeated, within the time', async () => {
    let tries = 0;
    const ssh = await sshd({ program: () => undefined });
    const port = await listen((socket) => {
      tries += 1;
      socket.end();
    });
    const gated = gatedDialer(dialer, {
      clock: systemClock,
      random: { unit: () => 0.5, uuid: () => '', hex: () => '' },
      maxParallel: 2,
      maxAttempts: 3,
    });
    expect(await failureOf(gated.dial(target(port), limits()))).toBe('dropped');
    expect(tries).toBe(3);
    expect(await failureOf(gated.dial(target(ssh), limits()))).toBe('none');
    tries = 0;
    const silent = await listen(() => void (tries += 1));
    expect(await failureOf(gated.dial(target(silent), limits({ totalMs: 200 })))).toBe('noBanner');
    expect(tries).toBe(1);
  });

  test('no more than the bound at one moment, and everybody gets a turn', async () => {
    let open = 0;
    let most = 0;
    const inner = {
      dial: async (): Promise<Dialed> => {
        most = Math.max(most, (open += 1));
        await new Promise((done) => setTimeout(done, 10));
        open -= 1;
        return { ok: false as const, failure: 'refused' as const, stages: [] };
      },
    };
    const gated = gatedDialer(inner, {
      clock: systemClock,
      random: { unit: () => 0.5, uuid: () => '', hex: () => '' },
      maxParallel: 3,
      maxAttempts: 1,
    });
    const all = await Promise.all(
      Array.from({ length: 20 }, () => failureOf(gated.dial(target(1), limits()))),
    );
    expect(all).toEqual(Array.from({ length: 20 }, () => 'refused'));
    expect(most).toBe(3);
    const late = Array.from({ length: 6 }, () =>
      failureOf(gated.dial(target(1), limits({ totalMs: 5 }))),
    );
    expect(await Promise.all(late)).toEqual([
      ...Array.from({ length: 3 }, () => 'refused'),
      ...Array.from({ length: 3 }, () => 'aborted'),
    ]);
    expect(await failureOf(gated.dial(target(1), limits()))).toBe('refused');
  });
});
