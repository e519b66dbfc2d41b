import { beforeEach, describe, expect, test } from '@jest/globals';
import { Secret } from '@fenceline/common';
import { recordingLogger } from '@fenceline/common/testing';
import { DomainError, TransportError, type FenceVmFromPeerCmd } from '@fenceline/protocol';
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
    logins: { has: async () => false, sealedFor: async () => undefined },
  });
  const message = { hostUuid: suspect, vmUuid: VM, epoch: 1, siblingHostUuids: [], timeoutMs: 9e5 };
  return world.clock.settle(peers.fence(message));
}

/** What is given back is told in the trace. */
const taken = (...tokens: string[]): TakenTokens => ({
  tokens: tokens.map((token) => new Secret(token)),
  giveBack: async (places) => void trace.push(`back ${places.join()}`),
});

test('F29a: tokens for each peer that is asked, taken before its order leaves', async () => {
  const pairs = [ONE, TWO].map((token) => taken(token, token.replaceAll(/./g, 'f')));
  const commands: FenceVmFromPeerCmd[] = [];
  for (const host of world.hosts) {
    const answer = host.fence;
    host.fence = (command) => {
      commands.push(command);
      const refused = { qemuConfirmedDead: false, outcome: 'badOrderToken', killed: [] };
      return { ...answer(command), ...(commands.length === 1 ? refused : {}) };
    };
  }
  const { evidence } = await fence(async () => pairs.shift() ?? taken());
  expect(evidence.map(({ outcome }) => outcome)).toEqual(['badOrderToken', 'confirmedDead']);
  expect(trace).toEqual([
    ...['hold', 'take', `call ${ONE}`, 'back ', 'take', `call ${TWO}`, 'back '],
    'let go',
  ]);
  expect(commands[0]).toMatchObject({ orderToken: ONE, spareOrderTokens: ['f'.repeat(32)] });
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
  await fence(async () => taken());
  expect(trace).toEqual(['hold', 'take', 'call -', 'back ', 'let go']);
});

describe('F29a: which tokens come back', () => {
  const three = (): Promise<TakenTokens> =>
    Promise.resolve(taken(ONE, TWO, ONE.replaceAll('1', '3')));

  test('F29a: those that the peer tells as unused', async () => {
    for (const host of world.hosts) {
      const answer = host.fence;
      host.fence = (command) => ({ ...answer(command), unusedOrderTokens: [1, 2] });
    }
    await fence(three);
    expect(trace).toContain('back 1,2');
  });

  test.each<[string, Error, string[]]>([
    ['its agent refuses the connection', new TransportError('refused', 'no'), ['back 0,1,2']],
    ['the answer is lost', new TransportError('reset', 'no'), []],
    ['there is no answer in time', new TransportError('timeout', 'no'), []],
  ])('F29a: %s', async (_why, error, expected) => {
    for (const host of world.hosts)
      host.fence = () => {
        throw error;
      };
    await expect(fence(three)).rejects.toThrow();
    const back = trace.filter((line) => line.startsWith('back'));
    expect(new Set(back)).toEqual(new Set(expected));
  });
});
