import { describe, expect, test } from '@jest/globals';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import type { AgentGateway } from '../../hosts/agentGateway.js';
import type { HostDirectory, HostJudgement, HostPresence } from '../../hosts/contracts.js';
import { Settings, type ChannelName } from '../../settings/settings.js';
import { openMemoryStore } from '../../store/adapters/sqlite.js';
import { vmOf } from '../../vms/vm.js';
import { hostUuid, vmRow } from '../../ha/testing/rows.js';
import { plainVault } from '../../hosts/testing/rig.js';
import { makePowerControl } from '../power/powerControl.js';
import type { PowerDevice, PowerState } from '../power/powerDevice.js';
import { proofByOperator } from '../proofs/byOperator.js';
import type { ProofChannel, ProofRequest } from './channel.js';
import { makeCloseOnHost, ownAgentChannel } from './ownAgent.js';
import { powerChannel } from './power.js';
import { raceChannels } from './race.js';

const run = {
  vmUuid: 'vm',
  epoch: 1,
  hostUuid: hostUuid(1),
  bootId: 'boot-1',
  mark: 1,
  pidNamespace: 'pid:[1]',
  state: 'running' as const,
  openedAt: '',
  closedAt: null,
  proofUuid: null,
};

function request(judgement?: Partial<HostJudgement>): ProofRequest {
  return {
    run,
    vm: vmOf(vmRow([])),
    taskUuid: 't',
    siblingHostUuids: [],
    judgementNow: () => judgement as HostJudgement | undefined,
    heldBack: () => undefined,
  };
}

function anyProof() {
  const judged = proofByOperator(run, {
    operator: 'a',
    reason: 'r',
    typedName: 'h',
    hostName: 'h',
    silentForMs: 1,
    requiredSilenceMs: 0,
    expiresAfterSec: 1,
    lookedAtMs: 0,
  });
  if (!('proof' in judged)) throw new Error(judged.refused);
  return judged.proof;
}

describe('the race of the channels', () => {
  function channel(name: ChannelName, prove: ProofChannel['prove'], bar?: string): ProofChannel {
    return { name, barredBy: () => bar, prove };
  }
  const order: ChannelName[] = ['peer', 'own-agent', 'power'];
  const go = (channels: ProofChannel[]) =>
    raceChannels(channels, order, { request: request(), signal: new AbortController().signal });
  const never = new Promise<never>(() => undefined);

  test('the first valid proof wins; a channel that hangs is not waited for but told to stop', async () => {
    let stopped = false;
    const result = await go([
      channel('peer', async (_request, signal) => {
        signal.addEventListener('abort', () => (stopped = true));
        return never;
      }),
      channel('own-agent', async () => ({ channel: 'own-agent', proof: anyProof(), why: 'y' })),
    ]);
    expect(result.proof).toBeDefined();
    expect(stopped).toBe(true);
  });

  test('without a proof every channel has said why, in order of blast radius', async () => {
    const result = await go([
      channel('own-agent', async () => ({ channel: 'own-agent', why: 'silent' })),
      channel('power', async () => ({ channel: 'power', proof: anyProof(), why: 'y' }), 'barred'),
      channel('peer', async () => ({ channel: 'peer', why: 'no peer' })),
    ]);
    expect(result.proof).toBeUndefined();
    expect(result.said.map(({ channel: name, why }) => `${name}: ${why}`)).toEqual([
      'peer: no peer',
      'own-agent: silent',
      'power: barred',
    ]);
  });

  test('F13: a policy without channels proves nothing', async () => {
    const result = await raceChannels([], [], {
      request: request(),
      signal: new AbortController().signal,
    });
    expect(result).toEqual({ said: [] });
  });
});

describe('the channel of the own agent', () => {
  const go = async (during: (stop: AbortController) => void, heldBack?: string) => {
    const asked: string[] = [];
    const stop = new AbortController();
    const gateway = {
      call: async (_agent: unknown, { name }: { name: string }) => {
        asked.push(name);
        during(stop);
        return {};
      },
    } as unknown as AgentGateway;
    const directory = {
      find: async () => ({ uuid: run.hostUuid, addresses: ['192.0.2.1'] }),
    } as unknown as HostDirectory;
    const settings = { current: () => new Settings() };
    const channel = ownAgentChannel(makeCloseOnHost({ gateway, directory, settings }));
    const { why } = await channel.prove({ ...request(), heldBack: () => heldBack }, stop.signal);
    return { asked, why };
  };

  test('another channel has the proof: it gives no order any more', async () => {
    const { asked, why } = await go((stop) => stop.abort(new Error('another channel')));
    expect([asked, why]).toEqual([['ping'], 'not needed any more']);
  });

  test('D6: its host came back: it gives no order any more', async () => {
    const { asked, why } = await go(() => undefined, 'it came back');
    expect([asked, why]).toEqual([['ping'], 'it came back']);
  });
});

describe('the power channel', () => {
  const fence = { action: 'fence' as const, channels: ['power' as const] };

  async function makeWorld(readings: PowerState[] = ['off'], acknowledged = true) {
    const clock = new VirtualClock();
    const store = await openMemoryStore();
    const settings = new Settings();
    const at = { uuid: 'd1', hostUuid: run.hostUuid, level: 1, position: 1 };
    const device = { ...at, agent: 'fence_x', parametersSealed: '{"plug":"h1"}' };
    const verified = { ...device, verifiedAt: '2026-01-01T00:00:00.000Z' };
    await store.db.insertInto('powerDevices').values(verified).execute();
    const done: string[] = [];
    const fake: PowerDevice = {
      off: async () => {
        done.push(`off at ${clock.monotonicMs()}`);
        await new Promise<void>((resolve) => clock.after(50, resolve));
        if (!acknowledged) throw new Error('rejected');
      },
      on: async () => undefined,
      status: async () => readings.shift() ?? 'off',
    };
    let lastMs: number | undefined = 0;
    const presence = { lastSignOfLifeMs: () => lastMs } as unknown as HostPresence;
    const source = { current: () => settings };
    const random = seededRandom(1);
    const power = makePowerControl({
      ...{ store, device: fake, settings: source, clock, random },
      loginVault: plainVault,
    });
    const channel = powerChannel({ power, presence, settings: source, clock });
    const prove = (asked: ProofRequest) =>
      clock.settle(channel.prove(asked, new AbortController().signal));
    return {
      clock,
      store,
      done,
      power,
      channel,
      prove,
      sign: (ms: number | undefined): void => {
        lastMs = ms;
      },
    };
  }

  test('safety: a host that is not judged dead keeps its power', async () => {
    const { channel } = await makeWorld();
    expect(channel.barredBy(request())).toContain('not judged dead');
    expect(channel.barredBy(request({ action: 'alarm', channels: ['power'] }))).toBeDefined();
    expect(channel.barredBy(request({ action: 'fence', channels: ['peer'] }))).toBeDefined();
    expect(channel.barredBy(request(fence))).toBeUndefined();
  });

  test('off is sent ha.power.afterMs after the last sign of life, and read back', async () => {
    const world = await makeWorld();
    const result = await world.prove(request(fence));
    expect(result.proof?.claim.kind).toBe('powerOff');
    expect(world.done).toEqual(['off at 4000']);
  });

  test('a sign of life during the wait puts it off', async () => {
    const world = await makeWorld();
    world.clock.after(3_000, () => world.sign(3_000));
    await world.prove(request(fence));
    expect(world.done).toEqual(['off at 7000']);
  });

  test('a host that came back during the wait is not switched off', async () => {
    const world = await makeWorld();
    let judgement: Partial<HostJudgement> | undefined = fence;
    world.clock.after(2_000, () => (judgement = { action: 'none', channels: [] }));
    const asked = { ...request(), judgementNow: () => judgement as HostJudgement | undefined };
    expect((await world.prove(asked)).proof).toBeUndefined();
    expect(world.done).toEqual([]);
  });

  test('read again while it reads on; an unreadable state is no proof', async () => {
    const slow = await makeWorld(['on', 'on', 'off']);
    expect((await slow.prove(request(fence))).proof).toBeDefined();
    const blind = await makeWorld(['unknown']);
    expect((await blind.prove(request(fence))).why).toContain('reads unknown');
  });

  test('a lying device that acknowledges and stays on proves nothing, and its order stays open', async () => {
    const world = await makeWorld(Array.from({ length: 20 }, () => 'on' as const));
    expect((await world.prove(request(fence))).why).toContain('reads on');
    expect(await world.power.unresolved()).toEqual([run.hostUuid]);
  });

  test('a device that rejects "off" for a host that is off already proves it by its reading', async () => {
    const world = await makeWorld(['off'], false);
    expect((await world.prove(request(fence))).proof).toBeDefined();
    expect(await world.power.unresolved()).toEqual([]);
  });

  test('an "off" that was not acknowledged and reads on may still come: its order stays open', async () => {
    const world = await makeWorld(
      Array.from({ length: 20 }, () => 'on' as const),
      false,
    );
    await world.prove(request(fence));
    expect(await world.power.unresolved()).toEqual([run.hostUuid]);
    await world.power.rebooted(run.hostUuid);
    expect(await world.power.unresolved()).toEqual([]);
  });

  test('callers that overlap share one order; the order is durable before it is given', async () => {
    const world = await makeWorld();
    const { signal } = new AbortController();
    const both = [1, 2].map(() => world.channel.prove(request(fence), signal));
    const results = await world.clock.settle(Promise.all(both));
    expect(results.every(({ proof }) => proof !== undefined)).toBe(true);
    expect(world.done).toHaveLength(1);
    const orders = await world.store.db.selectFrom('powerOrders').selectAll().execute();
    expect(orders).toHaveLength(1);
    expect(orders[0]?.resolvedAt).not.toBeNull();
  });

  test('an unconfirmed mapping is named, and no power is touched', async () => {
    const world = await makeWorld();
    await world.store.db.updateTable('powerDevices').set({ verifiedAt: null }).execute();
    expect((await world.prove(request(fence))).why).toContain('never confirmed');
    expect(world.done).toEqual([]);
  });
});
