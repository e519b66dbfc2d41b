import { describe, expect, test } from '@jest/globals';
import { VirtualClock } from '@fenceline/common/testing';
import { sleep } from '@fenceline/common';
import fc from 'fast-check';
import { hostUuid, vmRow } from '../../ha/testing/rows.js';
import { CHANNELS, type ChannelName } from '../../settings/settings.js';
import { vmOf } from '../../vms/vm.js';
import { proofByOperator } from '../proofs/byOperator.js';
import type { ProofChannel, ProofRequest } from './channel.js';
import { NOT_AVAILABLE, raceChannels } from './race.js';

const run = {
  ...{ vmUuid: 'vm', epoch: 1, hostUuid: hostUuid(1), bootId: 'boot-1', mark: 1 },
  ...{ pidNamespace: null, state: 'running' as const, openedAt: '', closedAt: null },
  proofUuid: null,
};
const request: ProofRequest = {
  ...{ run, vm: vmOf(vmRow([])), taskUuid: 't', siblingHostUuids: [] },
  judgementNow: () => undefined,
  heldBack: () => undefined,
};

/** A proof that bears its channel's name. */
function proofOf(name: string) {
  const names = { typedName: 'h', hostName: 'h', reason: name };
  const silence = { silentForMs: 1, requiredSilenceMs: 0, expiresAfterSec: 1, lookedAtMs: 0 };
  const judged = proofByOperator(run, { operator: name, ...names, ...silence });
  if (!('proof' in judged)) throw new Error(judged.refused);
  return judged.proof;
}

interface Play {
  name: ChannelName;
  /** When it ends, ms. */
  afterMs: number;
  proves: boolean;
}

/** Channels that end when they end, and note that they were told to stop. */
function channelsOf(
  plays: readonly Play[],
  clock: VirtualClock,
  stopped: string[],
): ProofChannel[] {
  return plays.map(({ name, afterMs, proves }) => ({
    name,
    barredBy: () => undefined,
    prove: async (_request, signal) => {
      signal.addEventListener('abort', () => stopped.push(name));
      await sleep(clock, afterMs);
      return proves
        ? { channel: name, proof: proofOf(name), why: 'y' }
        : { channel: name, why: 'n' };
    },
  }));
}

async function race(plays: readonly Play[], policy: readonly ChannelName[] = CHANNELS) {
  const clock = new VirtualClock();
  const stopped: string[] = [];
  const { signal } = new AbortController();
  const channels = channelsOf(plays, clock, stopped);
  const result = await clock.settle(raceChannels(channels, policy, { request, signal }));
  return { result, stopped, atMs: clock.monotonicMs() };
}

describe('the race of the channels', () => {
  test('whatever the order and the times: the first valid proof wins, and nobody is waited for', async () => {
    const play = fc.record({ afterMs: fc.nat(50), proves: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([...CHANNELS], { minLength: 1 }),
        fc.array(play, { minLength: 5, maxLength: 5 }),
        async (policy, plays) => {
          const all = CHANNELS.map((name, i): Play => ({
            name,
            ...(plays[i] ?? { afterMs: 0, proves: false }),
          }));
          const { result, atMs } = await race(all, policy);
          const used = all.filter(({ name, proves }) => proves && policy.includes(name));
          const best = Math.min(...used.map(({ afterMs }) => afterMs));
          expect(result.proof === undefined).toBe(used.length === 0);
          if (used.length > 0) {
            expect(atMs).toBe(best);
            const winner = used.find(
              ({ name }) => result.proof?.claim.source === `operator:${name}`,
            );
            expect(winner?.afterMs).toBe(best);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test('every channel begins at once: a slow one of small blast radius holds nobody up', async () => {
    const { result, atMs, stopped } = await race([
      { name: 'peer', afterMs: 20_000, proves: true },
      { name: 'power', afterMs: 300, proves: true },
    ]);
    expect([result.proof?.claim.source, atMs]).toEqual(['operator:power', 300]);
    expect(stopped).toEqual(['peer', 'power']);
  });

  test('a channel that the policy does not name is not asked, whatever it could prove', async () => {
    const { result } = await race([{ name: 'power', afterMs: 1, proves: true }], ['peer']);
    expect(result).toEqual({ said: [{ channel: 'peer', why: NOT_AVAILABLE }] });
  });

  test('mailbox and storage may be named and say what is true: there are none yet', async () => {
    const { result } = await race([{ name: 'peer', afterMs: 1, proves: false }]);
    expect(result.said.map(({ channel, why }) => `${channel}: ${why}`)).toEqual([
      'peer: n',
      `own-agent: ${NOT_AVAILABLE}`,
      `mailbox: ${NOT_AVAILABLE}`,
      `storage: ${NOT_AVAILABLE}`,
      `power: ${NOT_AVAILABLE}`,
    ]);
  });

  test('what is said is told in the order of blast radius, however the policy was typed', async () => {
    const plays = CHANNELS.map((name, i): Play => ({ name, afterMs: 50 - i, proves: false }));
    const { result } = await race(plays, ['power', 'own-agent', 'peer', 'power']);
    expect(result.said.map(({ channel }) => channel)).toEqual(['peer', 'own-agent', 'power']);
  });

  test('a proof that comes after the attempt had to end is not used', async () => {
    const clock = new VirtualClock();
    const attempt = new AbortController();
    const channels = channelsOf([{ name: 'peer', afterMs: 500, proves: true }], clock, []);
    clock.after(100, () => attempt.abort(new Error('its time is up')));
    const raced = raceChannels(channels, ['peer'], { request, signal: attempt.signal });
    expect((await clock.settle(raced)).proof).toBeUndefined();
  });
});
