import { expect, test } from '@jest/globals';
import { sleep } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import type { HostJudgement, HostPresence } from '../../hosts/contracts.js';
import { Settings } from '../../settings/settings.js';
import { openMemoryStore } from '../../store/adapters/sqlite.js';
import { vmOf } from '../../vms/vm.js';
import { hostUuid, vmRow } from '../../ha/testing/rows.js';
import { plainVault } from '../../hosts/testing/rig.js';
import type { ProofRequest } from '../channels/channel.js';
import { powerChannel } from '../channels/power.js';
import { makePowerControl } from './powerControl.js';
import { PowerDeviceError, type PowerDevice, type PowerState } from './powerDevice.js';

const h1 = hostUuid(1);
const VERIFIED = '2026-01-01T00:00:00.000Z';

interface Feed {
  plug: string;
  level: number;
  verifiedAt?: string | null;
  /** What it reads, call by call; the last one stays. */
  reads?: PowerState[];
  /** What its "off" ends with. */
  fails?: Error;
  during?: () => void;
  /** More than its plug; stored as if it had been allowed once. */
  parameters?: Record<string, string>;
}

/** A host with these outlets, a judgement that allows power, and no sign of life. */
async function makeWorld(feeds: readonly Feed[]) {
  const clock = new VirtualClock();
  const store = await openMemoryStore();
  const settings = new Settings();
  for (const [i, { plug, level, verifiedAt = VERIFIED, parameters }] of feeds.entries())
    await store.db
      .insertInto('powerDevices')
      .values({
        uuid: `device-${plug}`,
        hostUuid: h1,
        level,
        position: i + 1,
        agent: `fence_${plug}`,
        parametersSealed: JSON.stringify({ plug, ...parameters }),
        verifiedAt,
      })
      .execute();
  const calls: string[] = [];
  const feedOf = ({ parameters }: { parameters: Readonly<Record<string, string>> }): Feed => {
    const found = feeds.find(({ plug }) => plug === parameters['plug']);
    if (found === undefined) throw new Error('no such plug');
    return found;
  };
  const device: PowerDevice = {
    off: async (config) => {
      const { plug, fails, during } = feedOf(config);
      calls.push(`${plug} off`);
      during?.();
      await sleep(clock, 100);
      if (fails !== undefined) throw fails;
    },
    on: async () => undefined,
    status: async (config) => {
      const { plug, reads = ['off'] } = feedOf(config);
      calls.push(`${plug}?`);
      await sleep(clock, 10);
      return (reads.length > 1 ? reads.shift() : reads[0]) ?? 'unknown';
    },
  };
  const source = { current: () => settings };
  const random = seededRandom(1);
  const control = makePowerControl({
    ...{ store, device, settings: source, clock, random },
    loginVault: plainVault,
  });
  const presence = { lastSignOfLifeMs: () => undefined } as unknown as HostPresence;
  const channel = powerChannel({ power: control, presence, settings: source, clock });
  const stop = new AbortController();
  const held: { why: string | undefined } = { why: undefined };
  const run = {
    vmUuid: 'vm',
    epoch: 1,
    hostUuid: h1,
    bootId: 'boot-1',
    mark: 1,
    pidNamespace: null,
    state: 'running' as const,
    openedAt: '',
    closedAt: null,
    proofUuid: null,
  };
  const judgement = { action: 'fence', channels: ['power'] } as unknown as HostJudgement;
  const request: ProofRequest = {
    run,
    vm: vmOf(vmRow([])),
    taskUuid: 't',
    siblingHostUuids: [],
    judgementNow: () => judgement,
    heldBack: () => held.why,
  };
  const open = async (): Promise<string[]> =>
    (
      await store.db
        .selectFrom('powerOrders')
        .select('deviceUuid')
        .where('resolvedAt', 'is', null)
        .execute()
    ).map(({ deviceUuid }) => deviceUuid);
  return {
    calls,
    control,
    stop,
    held,
    open,
    prove: () => clock.settle(channel.prove(request, stop.signal)),
  };
}

test('powerOff: two feeds, one after the other, and both read again after the last', async () => {
  const world = await makeWorld([
    { plug: 'a', level: 1 },
    { plug: 'b', level: 1 },
  ]);
  const { proof, why } = await world.prove();
  expect([proof?.claim.kind, why]).toEqual(['powerOff', 'all its feeds read off']);
  expect(world.calls).toEqual(['a off', 'a?', 'b off', 'b?', 'a?', 'b?']);
  expect(proof?.claim).toMatchObject({
    source: 'power:fence_a+fence_b',
    facts: {
      devices: [
        { readBack: 'off', offSentAfterMs: 0, firstOffAfterMs: 100, readBackAfterMs: 220 },
        { readBack: 'off', offSentAfterMs: 110, firstOffAfterMs: 210, readBackAfterMs: 230 },
      ],
    },
  });
  expect(await world.open()).toEqual([]);
});

test('powerOff: a feed that came back while the other was switched is no "off"', async () => {
  const world = await makeWorld([
    { plug: 'a', level: 1, reads: ['off', 'on'] },
    { plug: 'b', level: 1 },
  ]);
  const { proof, why } = await world.prove();
  expect(proof).toBeUndefined();
  expect(why).toContain('device 1 (fence_a) of level 1 reads on after "off"');
  expect(why).toContain('1 of its feeds stay off');
});

test('powerOff: one of two feeds that stays on is no "off", and its order stays open', async () => {
  const world = await makeWorld([
    { plug: 'a', level: 1 },
    { plug: 'b', level: 1, reads: ['on'] },
  ]);
  expect((await world.prove()).proof).toBeUndefined();
  expect(await world.open()).toEqual(['device-b']);
  expect(await world.control.unresolved()).toEqual([h1]);
});

test('powerOff: where the first feed fails the second one is left alone', async () => {
  const world = await makeWorld([
    { plug: 'a', level: 1, reads: ['on'] },
    { plug: 'b', level: 1 },
  ]);
  expect((await world.prove()).proof).toBeUndefined();
  expect(world.calls).not.toContain('b off');
});

test('powerOff: the next level only if the one before failed: a BMC that died with its host', async () => {
  const dead = new PowerDeviceError('timedOut', 'no answer');
  const world = await makeWorld([
    { plug: 'bmc', level: 1, reads: ['unknown'], fails: dead },
    { plug: 'a', level: 2 },
    { plug: 'b', level: 2 },
  ]);
  const { proof } = await world.prove();
  expect(proof?.claim).toMatchObject({ kind: 'powerOff', facts: { level: 2 } });
  // The BMC may still carry out what it was told: nothing is placed there until the next boot.
  expect(await world.open()).toEqual(['device-bmc']);
  await world.control.rebooted(h1);
  expect(await world.open()).toEqual([]);
  const first = await makeWorld([
    { plug: 'bmc', level: 1 },
    { plug: 'a', level: 2 },
  ]);
  expect((await first.prove()).proof).toBeDefined();
  expect(first.calls).toEqual(['bmc off', 'bmc?']);
});

test('powerOff: all levels fail: each says what it read', async () => {
  const world = await makeWorld([
    { plug: 'bmc', level: 1, reads: ['on'] },
    { plug: 'a', level: 2, reads: ['unknown'] },
  ]);
  expect((await world.prove()).why).toBe(
    'level 1: the power device reads on after "off"; level 2: the power device reads unknown after "off"',
  );
});

test('powerOff: a level with one device that was never confirmed is never used', async () => {
  const world = await makeWorld([
    { plug: 'a', level: 1 },
    { plug: 'b', level: 1, verifiedAt: null },
    { plug: 'c', level: 2 },
  ]);
  expect((await world.prove()).proof?.claim.facts).toMatchObject({ level: 2 });
  expect(world.calls).toEqual(['c off', 'c?']);
  const none = await makeWorld([{ plug: 'a', level: 1, verifiedAt: null }]);
  expect((await none.prove()).why).toContain('never confirmed');
  expect(none.calls).toEqual([]);
});

test('powerOff: a stored parameter that makes "off" false is refused at use: no order is given', async () => {
  const missing = { parameters: { 'missing-as-off': '1' } };
  const alone = await makeWorld([{ plug: 'a', level: 1, ...missing }]);
  const { proof, why } = await alone.prove();
  expect([proof, why]).toEqual([undefined, expect.stringContaining('would read as off')]);
  expect([alone.calls, await alone.open()]).toEqual([[], []]);

  const second = await makeWorld([
    { plug: 'a', level: 1, ...missing },
    { plug: 'b', level: 2 },
  ]);
  expect((await second.prove()).proof?.claim.kind).toBe('powerOff');
  expect(second.calls).toEqual(['b off', 'b?']);
});

test('powerOff: another channel won meanwhile: a level that was begun ends, the next does not begin', async () => {
  const stop = (): void => world.stop.abort(new Error('another channel has the proof'));
  const world = await makeWorld([
    { plug: 'a', level: 1, during: stop },
    { plug: 'b', level: 1, reads: ['on'] },
    { plug: 'c', level: 2 },
  ]);
  expect((await world.prove()).proof).toBeUndefined();
  expect(world.calls.filter((call) => call.endsWith('off'))).toEqual(['a off', 'b off']);
});

test('D6: its host came back while one feed is off: the other one stays on', async () => {
  const world = await makeWorld([
    { plug: 'a', level: 1, during: () => (world.held.why = 'it came back') },
    { plug: 'b', level: 1 },
    { plug: 'c', level: 2 },
  ]);
  expect(await world.prove()).toEqual({
    channel: 'power',
    why: 'called off with 1 of 2 feeds off, as it came back',
  });
  expect(world.calls).toEqual(['a off', 'a?']);
});

test('powerOff: another channel won before: nothing is switched', async () => {
  const world = await makeWorld([{ plug: 'a', level: 1 }]);
  world.stop.abort(new Error('another channel has the proof'));
  expect(await world.prove()).toMatchObject({ why: 'not needed any more' });
  expect(world.calls).toEqual([]);
});
