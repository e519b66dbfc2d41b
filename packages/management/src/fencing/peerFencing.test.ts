import { beforeEach, expect, test } from '@jest/globals';
import { Secret } from '@fenceline/common';
import { recordingLogger } from '@fenceline/common/testing';
import { DomainError, type FenceVmFromPeerCmd } from '@fenceline/protocol';
import { makeHaWorld, type HaWorld } from '../ha/testing/haWorld.js';
import type { FenceVmOnHostReply } from '../messages/types.js';
import { makePeerFencing } from './peerFencing.js';
import type { TakenTokens } from './tokens/orderTokens.js';

const VM = 'a0000000-0000-4000-8000-000000000001';
const [ONE, TWO] = ['1'.repeat(32), '2'.repeat(32)];

let world: HaWorld;
/** What happened to the tokens and the calls, in order. */
let trace: string[];
const { log, lines } = recordingLogger();

beforeEach(async () => {
  world = await makeHaWorld();
  trace = [];
});

function fence(take: () => Promise<TakenTokens>): Promise<FenceVmOnHostReply> {
  const { store, directory, presence, settings, random, events, gateway } = world;
  const suspect = world.hosts[0]?.uuid ?? '';
  const peers = makePeerFencing({
    ...{ store, directory, presence, random, events, log },
    settings: { current: () => settings },
    gateway: {
      ...gateway,
      call: (agent, route, request) => {
        trace.push(`call ${(request.command as { orderToken?: string }).orderToken ?? '-'}`);
        return gateway.call(agent, route, request);
      },
    },
    tokens: {
      take: async () => {
        trace.push('take');
        return take();
      },
      hold: () => {
        trace.push('hold');
        return () => void trace.push('let go');
      },
    },
    lines: { linesTo: () => [] },
  });
  const message = { hostUuid: suspect, vmUuid: VM, epoch: 1, siblingHostUuids: [], timeoutMs: 9e5 };
  return world.clock.settle(peers.fence(message));
}

test('F29a: a pair of tokens for each peer that is asked, taken before its order leaves', async () => {
  const pairs = [ONE, TWO].map((token) => ({
    orderToken: new Secret(token),
    spareOrderToken: new Secret(token.replaceAll(/./g, 'f')),
  }));
  const commands: FenceVmFromPeerCmd[] = [];
  for (const host of world.hosts) {
    const answer = host.fence;
    host.fence = (command) => {
      commands.push(command);
      const refused = { qemuConfirmedDead: false, outcome: 'badOrderToken', killed: [] };
      return { ...answer(command), ...(commands.length === 1 ? refused : {}) };
    };
  }
  const { evidence } = await fence(async () => pairs.shift() ?? {});
  expect(evidence.map(({ outcome }) => outcome)).toEqual(['badOrderToken', 'confirmedDead']);
  expect(trace).toEqual(['hold', 'take', `call ${ONE}`, 'take', `call ${TWO}`, 'let go']);
  expect(commands[0]).toMatchObject({ orderToken: ONE, spareOrderToken: 'f'.repeat(32) });
  const said = JSON.stringify([lines, world.seen, evidence]);
  expect(said).not.toContain(ONE);
  expect(said).not.toContain(TWO);
});

test('F29a: no token left closes the channel with that reason, and blames no peer', async () => {
  const none = (): Promise<never> =>
    Promise.reject(new DomainError('REFUSED', 'no order token of h1 is left'));
  await expect(fence(none)).rejects.toMatchObject({
    code: 'REFUSED',
    message: 'no order token of h1 is left',
  });
  expect(trace).toEqual(['hold', 'take', 'let go']);
  expect(world.seen.map(({ kind }) => kind)).not.toContain('ha.fence.defect');
});

test('F29a: a host that asks for none gets orders without', async () => {
  await fence(async () => ({}));
  expect(trace).toEqual(['hold', 'take', 'call -', 'let go']);
});
