import { describe, expect, test } from '@jest/globals';
import type { VmSeen } from '@fenceline/protocol';
import { hostUuid, makeHaWorld, VM } from '../ha/testing/haWorld.js';
import { makeUnfinishedStops, settleStop } from './unfinishedStops.js';

const qemu = (state: VmSeen['state']): VmSeen => ({
  ...{ vmUuid: VM, name: 'vm1', state, epoch: 1, pid: 9, startTime: 9 },
  ...{ knownToLibvirt: true, hasProcess: true },
});

/** A server died after it had written the wish down; the run on h1 is open. */
async function makeWorld(vms: VmSeen[]) {
  const world = await makeHaWorld();
  await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  await world.store.db.updateTable('vms').set({ stoppedByPerson: 1 }).execute();
  const host = world.hosts[0];
  if (host !== undefined) host.vms = vms;
  world.bus.handle('SettleStop', {
    queue: ({ vmUuid }) => `vm:${vmUuid}`,
    run: async ({ vmUuid }) => {
      await settleStop(world.deps, vmUuid);
      return {};
    },
  });
  const row = () => world.store.db.selectFrom('vms').selectAll().executeTakeFirstOrThrow();
  const stops = makeUnfinishedStops(world);
  return { ...world, stops, row, settled: () => world.clock.settle(world.bus.idle()) };
}

describe('a stop that nobody carried out to its end', () => {
  test('D9: the VM runs: it is taken back, loudly, and nothing is killed', async () => {
    const world = await makeWorld([qemu('Running')]);
    await world.stops.seen(hostUuid(1));
    await world.settled();
    expect(await world.row()).toMatchObject({ stoppedByPerson: 0, state: 'Running' });
    expect(world.seen).toMatchObject([{ kind: 'vm.stopTakenBack', severity: 'warning' }]);
    expect(world.called('vmDestroy')).toEqual([]);
  });

  test('D9: the VM does not run: its run is closed by proof, and it stays stopped', async () => {
    const world = await makeWorld([]);
    await world.stops.seen(hostUuid(1), VM);
    await world.settled();
    expect(await world.row()).toMatchObject({ stoppedByPerson: 1, state: 'Stopped' });
    expect(await world.ledger.openRuns(VM)).toEqual([]);
  });

  test('D9: its host is silent: the wish stays, until it is seen', async () => {
    const world = await makeWorld([qemu('Running')]);
    world.judgeDead(1);
    await world.stops.start();
    await world.settled();
    expect(await world.row()).toMatchObject({ stoppedByPerson: 1 });
    expect(await world.ledger.openRuns(VM)).toHaveLength(1);
  });

  test('D9: a qemu that is dying is neither: its end is waited for', async () => {
    const world = await makeWorld([qemu('Stopping')]);
    await world.stops.start();
    await world.settled();
    expect(await world.row()).toMatchObject({ stoppedByPerson: 1 });
    expect(world.called('vmDestroy')).toEqual([]);
  });

  test('D9: only its end was not written down any more: it is, at the start of the server', async () => {
    const world = await makeWorld([]);
    await world.store.db.deleteFrom('runs').execute();
    await world.stops.start();
    await world.settled();
    expect(await world.row()).toMatchObject({ stoppedByPerson: 1, state: 'Stopped' });
  });

  test('D9: what was heard while one is settled is looked at after it', async () => {
    const world = await makeWorld([qemu('Stopping')]);
    let looks = 0;
    world.bus.handle('SettleStop', {
      run: async ({ vmUuid }) => {
        await settleStop(world.deps, vmUuid);
        looks += 1;
        if (looks > 1) return {};
        const [host] = world.hosts;
        if (host !== undefined) host.vms = [qemu('Running')];
        await world.stops.seen(hostUuid(1), VM);
        return {};
      },
    });
    await world.stops.seen(hostUuid(1));
    await world.clock.advance(1_000);
    expect(looks).toBe(2);
    expect(await world.row()).toMatchObject({ stoppedByPerson: 0 });
  });
});
