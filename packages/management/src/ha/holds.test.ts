import { describe, expect, test } from '@jest/globals';
import { makeHaWorld, hostUuid, VM, type HaWorld } from './testing/haWorld.js';
import { makeHolds } from './holds.js';

const wanted = {
  vmUuid: VM,
  reason: 'r',
  judger: 'host-failure' as const,
  siblingHostUuids: [],
  softAvoidHostUuids: [],
};

/** The VM runs on h1, which is judged dead; its task is due. */
async function dueTask(): Promise<HaWorld> {
  const world = await makeHaWorld();
  await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  world.judgeDead(1);
  await world.tasks.openOrCreate(wanted);
  return world;
}

const state = async (world: HaWorld) => {
  const task = await world.store.db
    .selectFrom('haTasks')
    .select(['state', 'attempt', 'waitsFor'])
    .executeTakeFirstOrThrow();
  const orders = world.called('fenceVm').length + world.called('vmDestroy').length;
  return { ...task, orders, starts: world.called('vmStart').length };
};
const nothing = { orders: 0, starts: 0 };

describe('D8: ha.mode', () => {
  test.each(['detect-only', 'disarmed'] as const)(
    'D8: %s: an open task waits, says why, and goes on when HA is active again',
    async (mode) => {
      const world = await dueTask();
      world.settings.ha.mode = mode;
      await world.dispatch.start();
      await world.clock.advance(10_000);
      const waitsFor = `HA does not act (ha.mode is ${mode})`;
      expect(await state(world)).toEqual({ state: 'waiting', attempt: 0, waitsFor, ...nothing });
      world.settings.ha.mode = 'active';
      await world.clock.advance(3_000);
      expect(await state(world)).toMatchObject({ state: 'done', attempt: 1, starts: 1 });
      world.dispatch.stop();
    },
  );

  test('D8: an attempt that is sent all the same does not begin', async () => {
    const world = await dueTask();
    world.settings.ha.mode = 'detect-only';
    expect(await world.start()).toEqual({});
    expect(await state(world)).toMatchObject({ state: 'waiting', attempt: 0, ...nothing });
  });

  test('D8: what a person orders goes on, also where HA had a task of its own', async () => {
    const world = await dueTask();
    world.settings.ha.mode = 'detect-only';
    const uuid = (await world.tasks.openTaskOf(VM))?.uuid ?? '';
    await world.dispatch.start();
    const task = await world.tasks.find(uuid);
    if (task !== undefined) await world.dispatch.ordered(task);
    await world.clock.advance(3_000);
    expect(await state(world)).toMatchObject({ state: 'done', starts: 1 });
    world.dispatch.stop();
  });

  test('F37: what a person ordered before the server started is no order any more', async () => {
    const world = await dueTask();
    world.settings.ha.mode = 'detect-only';
    await world.store.db.updateTable('haTasks').set({ judger: 'manual' }).execute();
    await world.dispatch.start();
    await world.clock.advance(3_000);
    expect(await state(world)).toMatchObject({ state: 'waiting', ...nothing });
    world.dispatch.stop();
  });

  test('what a person orders stays that, also when HA reminds of it', async () => {
    const world = await dueTask();
    const uuid = (await world.tasks.openTaskOf(VM))?.uuid ?? '';
    await world.tasks.refresh(uuid, { ...wanted, judger: 'manual' });
    await world.tasks.refresh(uuid, wanted);
    expect(await world.tasks.find(uuid)).toMatchObject({ judger: 'manual' });
  });

  test('D8: changed during a fence: no further peer, no start, and it waits from then on', async () => {
    const world = await dueTask();
    for (const host of world.hosts) {
      const fence = host.fence;
      host.fence = (command) => {
        world.settings.ha.mode = 'disarmed';
        return { ...fence(command), qemuConfirmedDead: false, outcome: 'noNonce', killed: [] };
      };
    }
    await world.dispatch.start();
    await world.clock.advance(60_000);
    const waitsFor = 'HA does not act (ha.mode is disarmed)';
    expect(await state(world)).toEqual({
      ...{ state: 'refused', attempt: 1, waitsFor, orders: 1, starts: 0 },
    });
    world.dispatch.stop();
  });

  test('D8: changed after the proof: no start; it comes when HA is active again', async () => {
    const world = await dueTask();
    world.extensions.push({
      name: 'x',
      beforeHaStart: async () => void (world.settings.ha.mode = 'detect-only'),
    });
    await world.dispatch.start();
    await world.clock.advance(60_000);
    expect(await state(world)).toMatchObject({ state: 'refused', orders: 1, starts: 0 });
    world.extensions.length = 0;
    world.settings.ha.mode = 'active';
    await world.clock.advance(3_000);
    expect(await state(world)).toMatchObject({ state: 'done', orders: 1, starts: 1 });
    world.dispatch.stop();
  });

  test('D8: a probe gives no order either', async () => {
    const world = await dueTask();
    for (const host of world.hosts)
      host.fence = () => ({
        ...{ vmUuid: VM, outcome: 'stillAlive', qemuStillAlive: true, stages: [] },
        ...{ stdoutBytes: 0, stderrBytes: 0, outputSha256: '', killed: [], disks: [] },
        otherWriters: [],
      });
    await world.dispatch.start();
    await world.clock.advance(2_000);
    const { orders } = await state(world);
    expect(orders).toBeGreaterThan(0);
    world.settings.ha.mode = 'detect-only';
    await world.clock.advance(60_000);
    expect(await state(world)).toMatchObject({ orders });
    world.dispatch.stop();
  });
});

describe('F37: after the start of a server', () => {
  test('F37: no attempt before every host of the cluster told its VMs, is judged down, or its silence is over', async () => {
    const world = await dueTask();
    const { store, clock, directory } = world;
    const holds = makeHolds({
      ...{ store, clock, directory, settings: { current: () => world.settings } },
      judgementOf: (uuid) => world.judgements.get(uuid),
    });
    const cluster = (await directory.find(hostUuid(1)))?.clusterUuid ?? '';
    const why = () => holds.attempt('t', cluster);
    // Not even begun to watch.
    expect(await why()).toContain('was not heard yet');
    holds.start();
    holds.listed(hostUuid(2));
    expect(await why()).toBe('host h1 was not heard yet since this server started');
    const judgement = world.judgements.get(hostUuid(1));
    if (judgement !== undefined)
      world.judgements.set(hostUuid(1), { ...judgement, inputs: { link: 'down' } });
    expect(await why()).toBe('host h3 was not heard yet since this server started');
    holds.listed(hostUuid(3));
    expect(await why()).toBeUndefined();
    world.judgements.clear();
    expect(await why()).toContain('host h1');
    await clock.advance(9_000);
    expect(await why()).toContain('host h1');
    await clock.advance(1);
    expect(await why()).toBeUndefined();
  });
});
