import { describe, expect, test } from '@jest/globals';
import { Secret, sleep } from '@fenceline/common';
import { recordingLogger, seededRandom, VirtualClock } from '@fenceline/common/testing';
import {
  DomainError,
  ok,
  RemoteError,
  TransportError,
  type CallOptions,
  type FenceVmsFromPeerCmd,
  type Route,
} from '@fenceline/protocol';
import { deadVerdict } from '../ha/testing/haWorld.js';
import { hostRow, hostUuid, vmRow } from '../ha/testing/rows.js';
import type { AgentAddress, AgentGateway } from '../hosts/agentGateway.js';
import type { HostPresence } from '../hosts/contracts.js';
import { makeHostDirectory } from '../hosts/directory.js';
import type { FenceVmOnHostMsg } from '../messages/types.js';
import { Settings } from '../settings/settings.js';
import { openMemoryStore } from '../store/adapters/sqlite.js';
import { makeEvents } from '../telemetry/events.js';
import { makePeerFencing, type PeerFencingDeps } from './peerFencing.js';

const vmUuid = (n: number): string => `a0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const suspect = hostUuid(1);

type Answer = (peer: number, command: FenceVmsFromPeerCmd, options: CallOptions) => Promise<object>;

/** Eight siblings of a suspect, and so many VMs on it; `answer` plays every peer. */
async function makeWorld(vms: number, answer: Answer) {
  const clock = new VirtualClock();
  const store = await openMemoryStore();
  const { log, lines } = recordingLogger();
  const events = makeEvents(store, clock, log);
  const seen: string[] = [];
  events.listen(({ kind }) => seen.push(kind));
  for (let n = 1; n <= 9; n += 1)
    await store.db
      .insertInto('hosts')
      .values(hostRow(hostUuid(n), `h${n}`))
      .execute();
  await store.transaction(async (tx) => {
    for (let n = 1; n <= vms; n += 1)
      await tx
        .insertInto('vms')
        .values(vmRow([], { uuid: vmUuid(n), name: `vm${n}` }))
        .execute();
  });
  const asked: number[] = [];
  const commands: FenceVmsFromPeerCmd[] = [];
  const gateway: AgentGateway = {
    async call<Req extends object, Rsp extends object>(
      agent: AgentAddress,
      route: Route<Req, Rsp>,
      { command, ...options }: { command: Req } & CallOptions,
    ): Promise<Rsp> {
      const peer = Number(agent.hostUuid.at(-1));
      asked.push(peer);
      const sent = command as unknown as FenceVmsFromPeerCmd;
      commands.push(sent);
      return ok(route.response as never, (await answer(peer, sent, options)) as never) as Rsp;
    },
    watch: () => {
      throw new Error('not used here');
    },
  };
  const signs: string[] = [];
  const noteSignOfLife = (uuid: string): void => void signs.push(uuid);
  const presence = { linkUp: () => true, noteSignOfLife };
  const settings = new Settings();
  const tokens: PeerFencingDeps['tokens'] = {
    take: async () => ({ tokens: [], giveBack: async () => undefined }),
    hold: () => () => undefined,
  };
  const peers = makePeerFencing({
    ...{ store, gateway, events, log, random: seededRandom(1) },
    directory: makeHostDirectory(store),
    presence: presence as unknown as HostPresence,
    settings: { current: () => settings },
    tokens,
    lines: { linesTo: () => [] },
    logins: { has: async () => false, sealedFor: async () => undefined },
  });
  const order = (n: number): FenceVmOnHostMsg => ({
    ...{ hostUuid: suspect, vmUuid: vmUuid(n), epoch: 1, siblingHostUuids: [] },
    timeoutMs: 600_000,
  });
  return {
    ...{ clock, seen, lines, asked, commands, peers, order, tokens, signs },
    fence: (n: number) => peers.fence(order(n)),
  };
}

const answered = (verdicts: object[]) => ({
  ...{ hostUuid: suspect, bootId: 'boot-1', pidNamespace: 'pid:[1]', stages: [] },
  ...{ stdoutBytes: 1, stderrBytes: 0, outputSha256: 'x', verdicts },
});
const single = (change: object = {}) => ({ ...answered([]), ...deadVerdict(change) });
const ambiguous = { qemuConfirmedDead: false, outcome: 'noNonce', killed: [] };

describe('F17: many VMs of one host', () => {
  test('F17: 500 are one command and one session, with a verdict each and no leak', async () => {
    // Whoever comes first is on its way at once; all that come meanwhile share one command.
    const world = await makeWorld(501, async (_peer, { vms }) => {
      await new Promise<void>((resolve) => world.clock.after(100, resolve));
      if (vms === undefined) return single();
      return answered(
        vms.map(({ vmUuid: uuid }) => ({
          ...deadVerdict({ outcome: 'nothingFound', detail: `of ${uuid}` }),
          vmUuid: uuid,
        })),
      );
    });
    const numbers = Array.from({ length: 501 }, (_, i) => i + 1);
    const replies = await world.clock.settle(Promise.all(numbers.map(world.fence)));
    expect(world.commands.map(({ vms }) => vms?.length ?? 1)).toEqual([1, 500]);
    for (const [i, { evidence }] of replies.entries())
      if (i > 0) expect(evidence.map(({ detail }) => detail)).toEqual([`of ${vmUuid(i + 1)}`]);
  });

  test('F17: the next peer is asked about those only that the first one did not settle', async () => {
    const world = await makeWorld(4, async (_peer, { vms }) => {
      await new Promise<void>((resolve) => world.clock.after(100, resolve));
      if (vms === undefined) return single();
      const [settled, ...unsure] = vms;
      return answered([
        { ...deadVerdict(), vmUuid: settled?.vmUuid },
        ...unsure.map((vm) => ({ ...deadVerdict(ambiguous), vmUuid: vm.vmUuid })),
      ]);
    });
    const replies = await world.clock.settle(Promise.all([1, 2, 3, 4].map(world.fence)));
    expect(world.commands.map(({ vms }) => vms?.length ?? 1)).toEqual([1, 3, 2, 1]);
    const said = replies.map(({ evidence }) => evidence.map(({ outcome }) => outcome));
    expect(said.toSorted((a, b) => a.length - b.length)).toEqual([
      ['confirmedDead'],
      ['confirmedDead'],
      ['noNonce', 'confirmedDead'],
      ['noNonce', 'noNonce', 'confirmedDead'],
    ]);
  });
});

describe('F14: which failure leads where', () => {
  test.each<[string, string, () => Error, string]>([
    ['F14', 'a refused connection', () => new TransportError('refused', 'm'), ''],
    ['F14', 'a time-out', () => new TransportError('timeout', 'm'), ''],
    ['F14', '500', () => new RemoteError(500, { code: 'INTERNAL', message: 'm' }), ''],
    [
      'F14',
      '400',
      () => new RemoteError(400, { code: 'BAD_INPUT', message: 'm' }),
      'ha.fence.defect',
    ],
    [
      'F14',
      '401',
      () => new RemoteError(401, { code: 'UNAUTHENTICATED', message: 'm' }),
      'ha.fence.defect',
    ],
    [
      'F14',
      '403',
      () => new RemoteError(403, { code: 'FORBIDDEN', message: 'm' }),
      'ha.fence.defect',
    ],
    ['F15', '404', () => new DomainError('NO_SUCH_ROUTE', 'm'), ''],
  ])('%s: after %s the next one is asked, alarm: %3$s', async (_rule, _what, failure, alarm) => {
    const world = await makeWorld(1, async () => {
      if (world.asked.length === 1) throw failure();
      return single();
    });
    const { evidence } = await world.clock.settle(world.fence(1));
    expect(evidence.map(({ outcome }) => outcome)).toEqual(['confirmedDead']);
    expect(world.seen).toEqual(alarm === '' ? [] : [alarm]);
  });

  test('F15: an older agent is named with its version, by a line of its own', async () => {
    const world = await makeWorld(1, async () => {
      if (world.asked.length === 1) throw new DomainError('NO_SUCH_ROUTE', 'm');
      return single();
    });
    await world.clock.settle(world.fence(1));
    const told = world.lines.filter(({ sentence }) =>
      sentence.includes('agent endpoint not found'),
    );
    expect(told).toMatchObject([{ level: 'warn', facts: { version: '0.1.0' } }]);
  });

  test('F14: each one once, and not more than five of eight', async () => {
    const world = await makeWorld(1, async () => single(ambiguous));
    const { evidence, eligibleSiblings } = await world.clock.settle(world.fence(1));
    expect([evidence.length, eligibleSiblings]).toEqual([5, 8]);
    expect(new Set(world.asked).size).toBe(5);
    expect(world.asked).not.toContain(1);
  });

  test('F14: 409 stops: the task is stale', async () => {
    const world = await makeWorld(1, async () => {
      throw new RemoteError(409, { code: 'STALE_EPOCH', message: 'newer' });
    });
    const fenced = world.clock.settle(world.fence(1));
    await expect(fenced).rejects.toMatchObject({ code: 'STALE_EPOCH' });
    expect(world.asked).toHaveLength(1);
  });
});

test.each([
  ['it answered', {}, [suspect]],
  ['another host answered', { hostUuid: hostUuid(9) }, []],
  ['nobody answered', { hostUuid: undefined }, []],
  ['nothing of it answered', { outcome: 'unreachable' }, []],
])(
  'F41: a peer heard the suspect itself: a sign of life; %s: %3$j',
  async (_what, change, signs) => {
    const world = await makeWorld(1, async () => ({ ...single(), ...change }));
    await world.clock.settle(world.fence(1)).catch(() => undefined);
    expect([...new Set(world.signs)]).toEqual(signs);
  },
);

describe('F29a: a look', () => {
  test('F29a: takes no token, and its peer is told that it only looks', async () => {
    const world = await makeWorld(1, async () =>
      single({ qemuConfirmedDead: false, qemuStillAlive: true, outcome: 'stillAlive' }),
    );
    world.tokens.take = async () => Promise.reject(new Error('a look takes no token'));
    const looked = await world.clock.settle(
      world.peers.fence({ ...world.order(1), lookOnly: true }),
    );
    expect(looked.evidence.map(({ outcome }) => outcome)).toEqual(['stillAlive']);
    expect(world.commands).toMatchObject([{ lookOnly: true }]);
  });

  test('F29a: is never in one call with an order', async () => {
    const world = await makeWorld(2, async () => {
      await sleep(world.clock, 100);
      return single();
    });
    const all = [
      world.fence(1),
      world.peers.fence({ ...world.order(2), lookOnly: true }),
      world.peers.fence({ ...world.order(1), lookOnly: true }),
    ];
    await world.clock.settle(Promise.all(all));
    expect(
      world.commands.map(({ lookOnly, vms }) => [lookOnly ?? false, vms?.length ?? 1]),
    ).toEqual(
      expect.arrayContaining([
        [false, 1],
        [true, 1],
        [true, 1],
      ]),
    );
  });
});

describe('an order that nobody waits for any more', () => {
  const hanging = (onAbort: () => void) => (options: CallOptions) =>
    new Promise<never>((_, reject) => {
      options.signal?.addEventListener('abort', () => {
        onAbort();
        reject(new TransportError('aborted', 'stopped'));
      });
    });

  test('its call is broken off, no further peer is asked, and nobody is blamed', async () => {
    let aborted = 0;
    const hang = hanging(() => (aborted += 1));
    const world = await makeWorld(1, (_peer, _command, options) => hang(options));
    world.clock.after(100, () => world.peers.cancel(world.order(1)));
    await expect(world.clock.settle(world.fence(1))).rejects.toMatchObject({ code: 'REFUSED' });
    expect([aborted, world.asked.length]).toEqual([1, 1]);
    expect(world.lines.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  test('safety: a call that others of the batch wait for goes on', async () => {
    const world = await makeWorld(3, async (_peer, { vms }, options) => {
      if (vms === undefined) return single();
      await new Promise<void>((resolve) => world.clock.after(1_000, resolve));
      expect(options.signal?.aborted).toBe(false);
      return answered(vms.map((vm) => ({ ...deadVerdict(), vmUuid: vm.vmUuid })));
    });
    const all = Promise.all([1, 2, 3].map(world.fence));
    world.clock.after(500, () => world.peers.cancel(world.order(3)));
    const replies = await world.clock.settle(all);
    expect(replies[1]?.evidence[0]?.outcome).toBe('confirmedDead');
  });

  test('D6: no further peer is asked once its host came back, also if that was while a token was taken', async () => {
    let why: string | undefined;
    const back: number[][] = [];
    const world = await makeWorld(1, async () => {
      await sleep(world.clock, 100);
      throw new TransportError('timeout', 'm');
    });
    world.tokens.take = async () => {
      await sleep(world.clock, 100);
      if (world.asked.length === 1) why = 'it came back';
      const giveBack = async (places: readonly number[]): Promise<void> =>
        void back.push([...places]);
      return { tokens: [new Secret('1'.repeat(32))], giveBack };
    };
    const letGo = world.peers.guard(world.order(1), () => why);
    await expect(world.clock.settle(world.fence(1))).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringContaining('it came back'),
    });
    expect([world.asked.length, back.at(-1)]).toEqual([1, [0]]);
    letGo();
    await world.clock.settle(world.fence(1)).catch(() => undefined);
    expect(world.asked.length).toBeGreaterThan(1);
  });

  test('what was never asked for can be called off, too', async () => {
    const world = await makeWorld(1, async () => single());
    world.peers.cancel(world.order(1));
    expect((await world.clock.settle(world.fence(1))).evidence).toHaveLength(1);
  });
});
