import { describe, expect, test } from '@jest/globals';
import { makeLogger, systemClock, type CallContext, type LogLine } from '@fenceline/common';
import {
  agentRoutes,
  DomainError,
  FenceVmFromPeerCmd,
  FenceVmsFromPeerCmd,
  parseBody,
  type FenceVm,
} from '@fenceline/protocol';
import type { StandingLine } from './lines/standingLine.js';
import { makePeerFence, type PeerFence } from './peerFence.js';
import type { ProgramSession, SessionEnd } from './programSession.js';
import type { AddressSigns, SignsOfLife } from './signsOfLife.js';
import type { Dialed, SshDialer } from './sshDialer.js';

const VM = '11111111-2222-3333-4444-555555555555';
const OTHER = '11111111-2222-3333-4444-555555555556';
const HOST = 'aaaaaaaa-2222-3333-4444-555555555555';
const PEER = 'bbbbbbbb-2222-3333-4444-555555555555';
const CANARY = 'remote-text-that-must-not-leave';

/** A program on the other side: gets what the peer wrote, gives lines. */
type Program = (input: string[]) => string[] | 'silent';

function fakeSession(
  program: Program,
  end: SessionEnd = { kind: 'exit', code: 0 },
): ProgramSession {
  const input: string[] = [];
  let lines: string[] | undefined;
  let close: (how: SessionEnd) => void = () => undefined;
  const ended = new Promise<SessionEnd>((resolve) => (close = resolve));
  let stop: () => void = () => undefined;
  const closed = new Promise<undefined>((resolve) => (stop = () => resolve(undefined)));
  return {
    ended,
    writeLine: (line) => void input.push(line),
    endInput: () => undefined,
    countAnew: () => undefined,
    nextLine: async () => {
      const answer = lines ?? program(input);
      if (answer === 'silent') return closed;
      lines = answer;
      const line = lines.shift();
      if (line === undefined) close(end);
      return line;
    },
    close: () => (close({ kind: 'closed' }), stop()),
    output: () => ({ stdoutBytes: 77, stderrBytes: 5, sha256: 'ab'.repeat(32) }),
  };
}

const nonceOf = (input: string[]): string => input[1]?.split(' ')[1] ?? '';
const whole = (input: string[]): string[] => [
  'fenceline-fence 1',
  `pid ${VM} 42 1234 epoch=7 role=qemu`,
  CANARY,
  `disk ${VM} /srv/a drained=synced`,
  `verdict ${VM} dead barrier=disk`,
  ...(input.some((line) => line.startsWith(`vm ${OTHER}`))
    ? [`verdict ${OTHER} alive barrier=disk`]
    : []),
  `end ${nonceOf(input)} host=${HOST} boot=b-1 pidns=4 uid=0 control=ok kill_ms=9`,
];

const silentSigns = (address: string): AddressSigns => ({
  address,
  way: { device: 'eth0' },
  tcp: [{ port: 22, sign: address === '10.0.0.3' ? 'accepted' : 'silent' }],
  icmp: 'silent',
  neighbour: 'failed',
});

interface World {
  dial?: SshDialer['dial'];
  looks?: SignsOfLife['look'];
  line?: StandingLine | undefined;
}

function make(world: World = {}): { fence: PeerFence; lines: LogLine[]; dials: number[] } {
  const lines: LogLine[] = [];
  const dials: number[] = [];
  const fence = makePeerFence({
    clock: systemClock,
    random: { hex: (bytes) => 'c0'.repeat(bytes), uuid: () => PEER, unit: () => 0.5 },
    log: makeLogger((line) => lines.push(line)),
    lines: { linesTo: () => (world.line === undefined ? [] : [world.line]) },
    own: { hostUuid: async () => PEER, addresses: async () => ['10.0.0.2', '192.168.122.1'] },
    dialer: {
      dial: async (target, limits) => {
        dials.push(limits.totalMs);
        return (world.dial ?? connected(whole))(target, limits);
      },
    },
    signs: {
      look: world.looks ?? (async ({ addresses }) => addresses.map(silentSigns)),
    },
  });
  return { fence, lines, dials };
}

const connected =
  (program: Program, end?: SessionEnd): SshDialer['dial'] =>
  async (): Promise<Dialed> => ({
    ok: true,
    session: fakeSession(program, end),
    address: '10.0.0.1',
    stages: [{ name: 'connect', ms: 1.4 }],
  });
const failing =
  (failure: Extract<Dialed, { ok: false }>['failure']): SshDialer['dial'] =>
  async () => ({ ok: false, failure, stages: [] });

const body = {
  vmUuid: VM,
  fenceEpoch: 7,
  disks: [{ kind: 'file', source: '/srv/a' }],
  targetHostUuid: HOST,
  targetHostIp: '10.0.0.1',
  targetHostKeys: ['ssh-ed25519 AAAA'],
  controls: [{ hostUuid: OTHER, addresses: ['10.0.0.3'] }],
  sshTimeoutSec: 1,
  connectTimeoutMs: 200,
  taskId: 'task-9',
};
const command = (over: object = {}): FenceVmFromPeerCmd =>
  parseBody(FenceVmFromPeerCmd, { ...body, ...over });
const many = (vms: Partial<FenceVm>[], over: object = {}): FenceVmsFromPeerCmd =>
  parseBody(FenceVmsFromPeerCmd, { ...body, ...over, vms });
const context: CallContext = {
  caller: { role: 'server', name: 'test' },
  signal: new AbortController().signal,
};

describe('one VM', () => {
  test('F23: a login that succeeded ends the look for signs of life, however long the order takes', async () => {
    let looks = 0;
    const { fence } = make({
      dial: connected(() => 'silent'),
      looks: async ({ addresses }) => {
        looks += 1;
        return addresses.map(silentSigns);
      },
    });
    expect(await fence.fenceVm(command(), context)).toMatchObject({ outcome: 'deadline' });
    expect(looks).toBe(0);
  });

  test('F22, F24: dead with its record, and exactly one of the three', async () => {
    const { fence } = make();
    const rsp = await fence.fenceVm(command(), context);
    expect(rsp).toMatchObject({
      success: true,
      vmUuid: VM,
      outcome: 'confirmedDead',
      qemuConfirmedDead: true,
      qemuStillAlive: false,
      targetHostUnreachable: false,
      hostUuid: HOST,
      bootId: 'b-1',
      pidNamespace: '4',
      barrier: 'disk',
      killed: [{ pid: 42, startTime: 1234, epoch: 7 }],
      disks: [{ source: '/srv/a', drained: 'synced' }],
      otherWriters: [],
    });
    expect(rsp.stages.map(({ name }) => name)).toEqual(['connect', 'kill', 'answer']);
    expect(parseBody(agentRoutes.fenceVm.response, JSON.parse(JSON.stringify(rsp)))).toBeTruthy();
  });

  test('F28: nothing of the remote output leaves but its length and its hash', async () => {
    const { fence, lines } = make();
    const rsp = await fence.fenceVm(command(), context);
    expect(rsp).toMatchObject({ stdoutBytes: 77, stderrBytes: 5, outputSha256: 'ab'.repeat(32) });
    expect(JSON.stringify(rsp) + JSON.stringify(lines)).not.toContain(CANARY);
  });

  test('F31: every line carries VM, suspect, peer and task', async () => {
    for (const dial of [connected(whole), failing('refused'), connected(() => 'silent')]) {
      const { fence, lines } = make({ dial });
      await fence.fenceVm(command(), context);
      expect(lines.length).toBeGreaterThanOrEqual(2);
      for (const { sentence, facts } of lines) {
        expect(sentence).toContain(`[HA pre-fence vm=${VM} suspect=${HOST} peer=${PEER}]`);
        expect(facts).toMatchObject({ taskId: 'task-9' });
      }
    }
  });

  test.each([
    [{ targetHostUuid: PEER }, 'its uuid'],
    [{ targetHostUuid: PEER.replaceAll('-', '').toUpperCase() }, 'its uuid, spelt otherwise'],
    [{ targetHostIp: '10.0.0.2' }, 'its address'],
    [{ targetHostIp: '::ffff:10.0.0.2' }, 'its address as IPv6'],
    [{ targetHostIp: '127.0.0.1' }, 'loopback'],
    [{ targetHostIp: 'localhost' }, 'localhost'],
  ] as [object, string][])('F18: this host itself is refused before any SSH: %o', async (over) => {
    const { fence, dials } = make();
    await expect(fence.fenceVm(command(over), context)).rejects.toMatchObject({ code: 'OWN_HOST' });
    expect(dials).toEqual([]);
  });

  test('F18: an address that every host has is left out, never dialled', async () => {
    const asked: string[][] = [];
    const { fence } = make({
      dial: async (target, limits) => {
        asked.push([...target.addresses]);
        return connected(whole)(target, limits);
      },
    });
    await fence.fenceVm(command({ targetAddresses: ['192.168.122.1', '10.0.1.1'] }), context);
    expect(asked).toEqual([['10.0.0.1', '10.0.1.1']]);
  });

  test('F14, F35: a newer run there is a stale order, 409', async () => {
    const { fence } = make({
      dial: connected((input) => [
        'fenceline-fence 1',
        `pid ${VM} 43 9 epoch=8`,
        ...whole(input).slice(1),
      ]),
    });
    const thrown = await fence.fenceVm(command(), context).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(DomainError);
    expect(thrown).toMatchObject({ code: 'STALE_EPOCH', status: 409 });
  });

  test('F22: the order names the suspect, and another host’s word is none', async () => {
    let head = '';
    const { fence } = make({
      dial: connected((input) => {
        head = input[1] ?? '';
        return whole(input).map((line) => line.replace(`host=${HOST}`, `host=${OTHER}`));
      }),
    });
    expect(await fence.fenceVm(command(), context)).toMatchObject({
      outcome: 'wrongHost',
      qemuConfirmedDead: false,
      hostUuid: OTHER,
    });
    expect(head).toContain(` host=${HOST}`);
  });

  test('F29a: a look goes as `count` and without a token, and proves nothing', async () => {
    const inputs: string[][] = [];
    const looks: Program = (input) => {
      inputs.push([...input]);
      return [
        'fenceline-fence 1',
        `pid ${VM} 7 8 epoch=3`,
        `end ${nonceOf(input)} host=${HOST} boot=b-1 pidns=4 uid=0 control=ok`,
      ];
    };
    const { fence } = make({ dial: connected(looks) });
    const token = 'ab'.repeat(16);
    const rsp = await fence.fenceVm(command({ lookOnly: true, orderToken: token }), context);
    expect(inputs.flat().join('\n')).toMatch(/^count [0-9a-f]+ token=- /m);
    expect(rsp).toMatchObject({ outcome: 'stillAlive', hostUuid: HOST, bootId: 'b-1' });
    expect(rsp.killed).toEqual([{ pid: 7, startTime: 8, epoch: 3 }]);
    expect(rsp.qemuConfirmedDead).not.toBe(true);
  });

  test('F22: a nonce of its own for each order', async () => {
    const { fence } = make({
      dial: connected((input) =>
        whole(input).map((line) => line.replace(nonceOf(input), 'ab'.repeat(16))),
      ),
    });
    expect((await fence.fenceVm(command(), context)).outcome).toBe('noNonce');
  });

  test('a fault of this host is no success', async () => {
    const { fence } = make({ dial: failing('localError') });
    expect(await fence.fenceVm(command(), context)).toMatchObject({
      success: false,
      error: { code: 'INTERNAL' },
      outcome: 'localError',
    });
  });
});

describe('F23: unreachable', () => {
  test('F23: silence on every address while a sibling answers', async () => {
    const { fence } = make({ dial: failing('connectTimeout') });
    expect(await fence.fenceVm(command(), context)).toMatchObject({
      success: true,
      outcome: 'unreachable',
      targetHostUnreachable: true,
      qemuConfirmedDead: false,
    });
  });

  test('F23: without controls it is never unreachable', async () => {
    const { fence } = make({ dial: failing('hostUnreachable') });
    expect(await fence.fenceVm(command({ controls: [] }), context)).toMatchObject({
      outcome: 'deadline',
      targetHostUnreachable: false,
    });
  });

  test('F23: a look that is cut short by the time limit proves nothing', async () => {
    const { fence } = make({ dial: failing('connectTimeout') });
    const rsp = await fence.fenceVm(command({ connectTimeoutMs: 3_500 }), context);
    expect(rsp.targetHostUnreachable).toBe(false);
  });

  test('F23: every known address is looked at, with both ports', async () => {
    const asked: unknown[] = [];
    const { fence } = make({
      dial: failing('connectTimeout'),
      looks: async (target) => (asked.push(target), target.addresses.map(silentSigns)),
    });
    await fence.fenceVm(command({ targetAddresses: ['10.0.1.1'] }), context);
    expect(asked).toEqual([
      { addresses: ['10.0.0.1', '10.0.1.1'], ports: [22, 7070] },
      { addresses: ['10.0.0.3'], ports: [22, 7070] },
    ]);
  });

  test('F23: a login that answers at once asks for no signs', async () => {
    let looks = 0;
    const { fence } = make({ looks: async () => ((looks += 1), []) });
    await fence.fenceVm(command(), context);
    expect(looks).toBe(0);
  });
});

describe('F25: time', () => {
  test.each<[string, World, string]>([
    ['the program is silent', { dial: connected(() => 'silent') }, 'deadline'],
    ['the dialer hangs', { dial: () => new Promise(() => undefined) }, 'deadline'],
    [
      'the signs hang',
      { dial: failing('connectTimeout'), looks: () => new Promise(() => undefined) },
      'deadline',
    ],
  ])('F25: %s: the call ends within sshTimeoutSec + 2 s', async (_what, world, outcome) => {
    const begun = performance.now();
    const { fence } = make(world);
    const rsp = await fence.fenceVm(command(), context);
    expect(rsp.outcome).toBe(outcome);
    expect(performance.now() - begun).toBeLessThan(3_000);
  });

  test('F25: the program gets less time than the call has', async () => {
    let head = '';
    const { fence } = make({ dial: connected((input) => ((head = input[1] ?? ''), whole(input))) });
    await fence.fenceVm(command({ sshTimeoutSec: 20, killGraceMs: 250 }), context);
    const deadline = Number(/deadline_ms=(\d+)/.exec(head)?.[1]);
    expect(deadline).toBeGreaterThan(19_000);
    expect(deadline).toBeLessThan(20_000);
    expect(head).toContain(' grace_ms=250');
  });
});

describe('F17: many VMs', () => {
  test('F17: one session, a verdict each, no leak', async () => {
    const { fence, dials } = make();
    const rsp = await fence.fenceVms(
      many([
        { vmUuid: VM, fenceEpoch: 7, disks: [{ kind: 'file', source: '/srv/a' }] },
        { vmUuid: OTHER, fenceEpoch: 3, disks: [] },
        { vmUuid: PEER, fenceEpoch: 3, disks: [] },
      ]),
      context,
    );
    expect(dials).toHaveLength(1);
    expect(rsp.success).toBe(true);
    expect(rsp.verdicts.map(({ vmUuid, outcome }) => [vmUuid, outcome])).toEqual([
      [VM, 'confirmedDead'],
      [OTHER, 'stillAlive'],
      [PEER, 'noNonce'],
    ]);
  });

  test('F17: out of time for some is said for those only', async () => {
    const { fence } = make({
      dial: connected((input) => whole(input).slice(0, -1), { kind: 'closed' }),
    });
    const rsp = await fence.fenceVms(many([{ vmUuid: VM, fenceEpoch: 7, disks: [] }]), context);
    expect(rsp.verdicts[0]).toMatchObject({ outcome: 'channelClosed', qemuConfirmedDead: false });
  });

  test('F18: the same VM twice is refused', async () => {
    const { fence } = make();
    const twice = many([
      { vmUuid: VM, fenceEpoch: 7, disks: [] },
      { vmUuid: VM.toUpperCase(), fenceEpoch: 8, disks: [] },
    ]);
    await expect(fence.fenceVms(twice, context)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });
});
