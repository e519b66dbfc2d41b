import { sleep } from '@fenceline/common';
import { describe, expect, test } from '@jest/globals';
import type { ConfirmDeadService } from '../api/services.js';
import type { Ledger } from '../vms/runs/ledger.js';
import { makeConfirmDeadService, makeTasksService } from './services.js';
import { hostUuid, makeHaWorld, VM, type HaWorld } from './testing/haWorld.js';

const actor = { name: 'ada', role: 'operator' as const };

async function withRun(): Promise<HaWorld> {
  const world = await makeHaWorld();
  await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  return world;
}

describe('confirm-dead', () => {
  async function servers(): Promise<{ world: HaWorld; service: ConfirmDeadService }> {
    const world = await withRun();
    await world.clock.advance(3_600_000);
    const service = makeConfirmDeadService({
      ...{ ...world, settings: { current: () => world.settings } },
      watchingSinceMs: world.clock.monotonicMs(),
    });
    return { world, service };
  }
  const ask = { hostUuid: hostUuid(1), reason: 'I pulled its cable', actor };

  test.each([undefined, 0])(
    'operatorConfirmed: silence counts from the start of this server at the earliest (last sign %s)',
    async (lastMs) => {
      const { world, service } = await servers();
      world.presence.lastSignOfLifeMs = () => lastMs;
      const seconds = world.settings.ha.operator.confirmDeadAfterSec;
      await world.clock.advance(seconds * 1_000 - 1);
      await expect(service.confirmDead(ask)).rejects.toMatchObject({ code: 'REFUSED' });
      expect(await world.ledger.openRuns(VM)).toHaveLength(1);
      await world.clock.advance(1);
      expect((await service.confirmDead(ask)).vmUuids).toEqual([VM]);
      expect(await world.ledger.openRuns(VM)).toEqual([]);
    },
  );
});

const word = { hostUuid: hostUuid(1), reason: 'I pulled the plug', actor };

test('F41: confirm-dead: a host that acts while the word is being stored takes it back', async () => {
  const world = await makeHaWorld();
  const { clock, presence, ledger, deps, dispatch } = world;
  await ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  const watchingSinceMs = clock.monotonicMs();
  await clock.advance(600_000);
  const close: Ledger['close'] = async (...proof) => {
    presence.noteSignOfLife(hostUuid(1), 'its heartbeat');
    await clock.advance(1);
    return ledger.close(...proof);
  };
  const service = makeConfirmDeadService({
    ...{ ...deps, dispatch, watchingSinceMs },
    ledger: { ...ledger, close },
  });
  expect(await service.confirmDead(word)).toMatchObject({ vmUuids: [VM] });
  const lastSignOfLifeMs = (uuid: string) => presence.lastSignOfLifeMs(uuid);
  expect(await ledger.reviseProofs({ vmUuid: VM, lastSignOfLifeMs })).toHaveLength(1);
  expect(await ledger.openRuns(VM)).toMatchObject([{ hostUuid: hostUuid(1), state: 'maybe' }]);
});

describe('abandon', () => {
  const wanted = {
    ...{ vmUuid: VM, reason: 'r', judger: 'host-failure' as const },
    ...{ siblingHostUuids: [], softAvoidHostUuids: [] },
  };
  const abandon = async (world: HaWorld, taskUuid: string) => {
    await world.clock.settle(makeTasksService(world).abandon(taskUuid, { reason: 'r', actor }));
    return world.tasks.find(taskUuid);
  };

  test('a task at rest, with no start of it out: it is over', async () => {
    const world = await withRun();
    const { uuid } = await world.tasks.openOrCreate(wanted);
    expect(await abandon(world, uuid)).toMatchObject({ state: 'abandoned' });
  });

  test('F33: refused while a start of the VM may be out, also where the task rests', async () => {
    const world = await makeHaWorld();
    const { uuid } = await world.tasks.openOrCreate(wanted);
    await world.ledger.grant({
      ...{ vmUuid: VM, hostUuid: hostUuid(2), bootId: 'boot-2', liveOn: [] },
      lastSignOfLifeMs: () => undefined,
    });
    await expect(abandon(world, uuid)).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringMatching(/its start command may have left: run 1 of VM .* on host/),
    });
    expect(await world.tasks.find(uuid)).toMatchObject({ state: 'waiting', endedAt: null });
  });

  /** Its attempt is under way: a peer's fence takes 28 s, unless it is called off. */
  async function underWay(): Promise<{ world: HaWorld; uuid: string }> {
    const world = await withRun();
    world.judgeDead(1);
    const call = world.gateway.call.bind(world.gateway);
    world.gateway.call = async (agent, route, options) => {
      if (route.name === 'fenceVm') await sleep(world.clock, 28_000, options.signal);
      return call(agent, route, options);
    };
    const { uuid } = await world.tasks.openOrCreate(wanted);
    await world.dispatch.start();
    await world.clock.advance(2_000);
    expect(await world.tasks.find(uuid)).toMatchObject({ state: 'fencing', attempt: 1 });
    return { world, uuid };
  }

  test('D8: while an attempt is under way: it is called off, and none follows', async () => {
    const { world, uuid } = await underWay();
    const beganMs = world.clock.monotonicMs();
    expect(await abandon(world, uuid)).toMatchObject({ state: 'abandoned', attempt: 1 });
    expect(world.clock.monotonicMs() - beganMs).toBeLessThan(2_000);
    await world.clock.advance(120_000);
    world.dispatch.stop();
    expect(await world.tasks.find(uuid)).toMatchObject({ state: 'abandoned', attempt: 1 });
    expect([world.called('vmStart'), await world.ledger.openRuns(VM)]).toMatchObject([
      [],
      [{ epoch: 1 }],
    ]);
  });

  test('D15: a later word of a person that orders it again is not held back', async () => {
    const { world, uuid } = await underWay();
    await abandon(world, uuid);
    expect(world.holds.mode(uuid, [])).toBeUndefined();
    world.dispatch.stop();
  });

  test('D15: an attempt that does not end in time is told as what it is, and goes on', async () => {
    const world = await makeHaWorld();
    world.extensions.push({ name: 'slow', beforeHaStart: () => sleep(world.clock, 60_000) });
    const { uuid } = await world.tasks.openOrCreate(wanted);
    await world.dispatch.start();
    await world.clock.advance(2_000);
    await expect(abandon(world, uuid)).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringMatching(/attempt is under way \(number 1, extending\).*in a moment/),
    });
    await world.clock.advance(120_000);
    world.dispatch.stop();
    expect(await world.tasks.find(uuid)).toMatchObject({ state: 'done', attempt: 1 });
  });
});
