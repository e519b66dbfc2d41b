import { expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { hostUuid } from '../../ha/testing/rows.js';
import { plainVault } from '../../hosts/testing/rig.js';
import { Settings } from '../../settings/settings.js';
import { openMemoryStore } from '../../store/adapters/sqlite.js';
import { makeEvents } from '../../telemetry/events.js';
import type { PowerState } from './powerDevice.js';
import { makePowerOrders } from './powerOrders.js';
import { CALM_MS, makePowerSettle } from './powerSettle.js';

const h1 = hostUuid(1);
const MINUTE = 60_000;

/** h1 is up, and an "off" to its device `a` has no known outcome. */
async function makeWorld() {
  const clock = new VirtualClock();
  const store = await openMemoryStore();
  const device = { hostUuid: h1, level: 1, position: 1, agent: 'fence_a', verifiedAt: null };
  const parametersSealed = JSON.stringify({ plug: 'a' });
  await store.db
    .insertInto('powerDevices')
    .values({ uuid: 'a', ...device, parametersSealed })
    .execute();
  const orders = makePowerOrders({ store, clock, random: seededRandom(1) });
  await orders.record({ hostUuid: h1, deviceUuid: 'a' });
  const now = { reads: 'on' as PowerState, up: true, boot: 'boot-1', atWork: false };
  const readings = { during: (): void => undefined };
  const settings = new Settings();
  const settle = makePowerSettle({
    ...{ store, orders, clock, log: silentLogger, loginVault: plainVault },
    events: makeEvents(store, clock, silentLogger),
    settings: { current: () => settings },
    control: { isAtWork: () => now.atWork },
    presence: { linkUp: () => now.up, bootId: () => now.boot },
    device: {
      status: async () => {
        readings.during();
        return now.reads;
      },
    },
  });
  settle.start();
  const open = async () => (await orders.unresolved()).length;
  /** For most of the time that an order needs to be settled, and some more. */
  const pass = (share: number) => clock.advance(CALM_MS * share);
  return { clock, store, orders, now, readings, settle, open, pass };
}

test('powerOff: an order is over once device and host show for minutes that nothing was switched', async () => {
  const world = await makeWorld();
  await world.pass(0.9);
  expect(await world.open()).toBe(1);
  await world.pass(0.3);
  expect(await world.open()).toBe(0);
  const kinds = await world.store.db.selectFrom('events').select('kind').execute();
  expect(kinds).toEqual([{ kind: 'power.orderSettled' }]);
  await world.settle.stop();
});

type World = Awaited<ReturnType<typeof makeWorld>>;
test.each<[string, (world: World) => unknown]>([
  ['the device does not answer', ({ now }) => (now.reads = 'unknown')],
  ['it reads off, although the host answers', ({ now }) => (now.reads = 'off')],
  ['the host is silent', ({ now }) => (now.up = false)],
  ['another boot answers', ({ now }) => (now.boot = 'boot-2')],
  ['somebody orders or reads it now', ({ now }) => (now.atWork = true)],
  ['another order is out', ({ orders }) => orders.record({ hostUuid: h1, deviceUuid: 'a' })],
])('powerOff: the time begins anew if %s', async (_what, happen) => {
  const world = await makeWorld();
  const before = { ...world.now };
  await world.pass(0.9);
  await happen(world);
  await world.clock.advance(MINUTE);
  const { boot } = world.now;
  Object.assign(world.now, { ...before, boot });
  await world.pass(0.7);
  expect(await world.open()).toBeGreaterThan(0);
  await world.pass(0.5);
  expect(await world.open()).toBe(0);
  await world.settle.stop();
});

test('powerOff: a host that falls silent while its device is read is not settled', async () => {
  const world = await makeWorld();
  const endMs = world.clock.monotonicMs() + CALM_MS + 10_000;
  // With the very reading that would have been the last.
  world.readings.during = () => {
    if (world.clock.monotonicMs() >= endMs) world.now.up = false;
  };
  await world.pass(1.2);
  expect(await world.open()).toBe(1);
  await world.settle.stop();
});

test('powerOff: a device that never answers bars for ever, until it is taken away', async () => {
  const world = await makeWorld();
  world.now.reads = 'unknown';
  await world.clock.advance(6 * 60 * MINUTE);
  expect(await world.open()).toBe(1);
  await world.store.db.deleteFrom('powerDevices').execute();
  await world.pass(1.2);
  expect(await world.open()).toBe(0);
  await world.settle.stop();
});
