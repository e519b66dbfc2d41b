import { describe, expect, test } from '@jest/globals';
import { makeHaWorld, hostUuid, VM, type HaWorld } from './testing/haWorld.js';
import { retryDelayMs } from './tasks/task.js';

async function refusingWorld(): Promise<HaWorld> {
  const world = await makeHaWorld();
  await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  world.judgeDead(1);
  for (const host of world.hosts)
    host.fence = () => ({
      vmUuid: VM,
      outcome: 'stillAlive',
      qemuStillAlive: true,
      stages: [],
      stdoutBytes: 0,
      stderrBytes: 0,
      outputSha256: '',
      killed: [],
      disks: [],
      otherWriters: [],
    });
  return world;
}

const wanted = {
  vmUuid: VM,
  reason: 'r',
  judger: 'host-failure' as const,
  siblingHostUuids: [],
  softAvoidHostUuids: [],
};

const attempts = async (world: HaWorld): Promise<number> =>
  (await world.tasks.openTaskOf(VM))?.attempt ?? -1;

describe('D10 back-off', () => {
  test.each([
    [[0, 2, 6], 1, 120_000],
    [[0, 2, 6], 2, 360_000],
    [[0, 2, 6], 9, 360_000],
    [[0.5], 1, 30_000],
  ])('%j after %i refusals: %i ms', (backoff, refusals, ms) => {
    expect(retryDelayMs(backoff, refusals)).toBe(ms);
  });

  test('a refused task is tried again after its delay, and each attempt has its history row', async () => {
    const world = await refusingWorld();
    await world.dispatch.start();
    await world.tasks.openOrCreate(wanted);
    await world.clock.advance(1_000);
    expect(await attempts(world)).toBe(1);
    await world.clock.advance(119_000);
    expect(await attempts(world)).toBe(1);
    await world.clock.advance(2_000);
    expect(await attempts(world)).toBe(2);
    const rows = await world.store.db.selectFrom('history').select('success').execute();
    expect(rows).toEqual([{ success: 0 }, { success: 0 }]);
    world.dispatch.stop();
    expect(world.clock.pending).toBe(0);
  });

  test('a change of the cluster ends the wait and begins the back-off anew', async () => {
    const world = await refusingWorld();
    await world.dispatch.start();
    await world.tasks.openOrCreate(wanted);
    await world.clock.advance(1_000);
    await world.dispatch.clusterChanged();
    await world.clock.advance(1_000);
    expect(await attempts(world)).toBe(2);
    await world.clock.advance(121_000);
    expect(await attempts(world)).toBe(3);
    world.dispatch.stop();
  });
});

describe('F10: a server that ends in the middle', () => {
  test.each(['judging', 'fencing', 'extending', 'marking', 'starting', 'verifying'] as const)(
    'a task found %s is ended in the history and begins anew',
    async (state) => {
      const world = await makeHaWorld();
      await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
      world.judgeDead(1);
      const task = await world.tasks.openOrCreate(wanted);
      await world.tasks.beginAttempt(task.uuid);
      await world.tasks.setState(task.uuid, state);
      await world.dispatch.start();
      await world.clock.advance(2_000);
      world.dispatch.stop();
      const rows = await world.store.db.selectFrom('history').selectAll().execute();
      expect(rows.map(({ attempt, success }) => [attempt, success])).toEqual([
        [1, 0],
        [2, 1],
      ]);
      expect(rows.every(({ endedAt }) => endedAt !== null)).toBe(true);
      expect(world.called('vmStart')).toHaveLength(1);
    },
  );

  test('I4: an attempt whose end could not be written down is ended later, and tried again', async () => {
    const world = await refusingWorld();
    await world.dispatch.start();
    const task = await world.tasks.openOrCreate(wanted);
    await world.clock.advance(1_000);
    // As after a full disk: the attempt is over, and its row says that it goes on.
    await world.tasks.setState(task.uuid, 'fencing');
    await world.store.db.updateTable('haTasks').set({ nextTryAt: null }).execute();
    await world.clock.advance(3_000);
    expect(await attempts(world)).toBe(2);
    world.dispatch.stop();
  });

  test('its start may be out: the run is adopted where it runs, and not started again', async () => {
    const world = await makeHaWorld();
    const task = await world.tasks.openOrCreate(wanted);
    await world.tasks.beginAttempt(task.uuid);
    await world.tasks.setState(task.uuid, 'starting');
    const { run } = await world.ledger.grant({
      vmUuid: VM,
      hostUuid: hostUuid(2),
      bootId: 'boot-2',
      liveOn: [],
      lastSignOfLifeMs: () => undefined,
    });
    world.hosts[1]?.start({ vmUuid: VM, epoch: run.epoch } as never);
    await world.dispatch.start();
    await world.clock.advance(2_000);
    world.dispatch.stop();
    expect(world.called('vmStart')).toEqual([]);
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ epoch: 1, state: 'running' }]);
  });
});

describe('F8: a refused task is freed as soon as a look gives proof', () => {
  const alive = (world: HaWorld) => world.hosts[1]?.fence;

  async function refused(): Promise<{ world: HaWorld; dies: () => void }> {
    const world = await refusingWorld();
    const healthy = (await makeHaWorld()).hosts[1]?.fence;
    await world.dispatch.start();
    await world.tasks.openOrCreate(wanted);
    await world.clock.advance(1_000);
    expect(await attempts(world)).toBe(1);
    expect(alive(world)).toBeDefined();
    const dies = (): void => {
      for (const host of world.hosts) if (healthy !== undefined) host.fence = healthy;
    };
    return { world, dies };
  }
  const state = async (world: HaWorld): Promise<string | undefined> =>
    (await world.store.db.selectFrom('haTasks').select('state').executeTakeFirst())?.state;

  test('its storage came back, and nobody of its host could tell: within ten seconds, not two minutes', async () => {
    const { world, dies } = await refused();
    await world.clock.advance(30_000);
    expect([await attempts(world), await state(world)]).toEqual([1, 'refused']);
    const asked = world.called('fenceVm').length;
    expect(asked).toBeGreaterThan(2);
    expect(asked).toBeLessThan(6);
    dies();
    await world.clock.advance(12_000);
    expect(await state(world)).toBe('done');
    const history = await world.store.db.selectFrom('history').select('success').execute();
    expect(history).toEqual([{ success: 0 }, { success: 1 }]);
    world.dispatch.stop();
  });

  test('safety: a host that came back is not looked at that way: its VM may live well', async () => {
    const { world, dies } = await refused();
    world.judgements.delete(hostUuid(1));
    dies();
    const asked = world.called('fenceVm').length;
    await world.clock.advance(60_000);
    expect(world.called('fenceVm')).toHaveLength(asked);
    world.dispatch.stop();
  });

  test('power is never touched by such a look', async () => {
    const { world } = await refused();
    const touched: string[] = [];
    world.deps.channels = [
      ...world.deps.channels,
      {
        name: 'power',
        barredBy: () => undefined,
        prove: async () => {
          touched.push('power');
          return { channel: 'power', why: 'x' };
        },
      },
    ];
    world.settings.ha.preFence.channels = ['peer', 'power'];
    await world.clock.advance(60_000);
    expect(touched).toEqual([]);
    world.dispatch.stop();
  });

  test('its host says that it changed: the task looks at once', async () => {
    const { world, dies } = await refused();
    dies();
    await world.dispatch.vmChanged(VM);
    await world.clock.advance(1_500);
    expect(await state(world)).toBe('done');
    world.dispatch.stop();
  });
});
