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
    await makeTasksService(world).abandon(taskUuid, { reason: 'r', actor });
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
    await expect(abandon(world, uuid)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(await world.tasks.find(uuid)).toMatchObject({ state: 'waiting', endedAt: null });
  });

  test('refused while an attempt is under way', async () => {
    const world = await withRun();
    const { uuid } = await world.tasks.openOrCreate(wanted);
    await world.tasks.beginAttempt(uuid);
    await expect(abandon(world, uuid)).rejects.toMatchObject({ code: 'REFUSED' });
  });
});
