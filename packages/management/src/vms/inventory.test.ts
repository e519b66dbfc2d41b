import { describe, expect, test } from '@jest/globals';
import type { DiskKind, VmSeen } from '@fenceline/protocol';
import { status } from '../api/queries/site.js';
import { showVm } from '../api/queries/vms.js';
import { hostUuid, makeHaWorld, VM } from '../ha/testing/haWorld.js';
import type { AgentGateway } from '../hosts/agentGateway.js';
import { HaSettings } from '../settings/settings.js';
import type { VmsTable } from '../store/schema.js';
import { makeVmInventory } from './inventory.js';
import { stopVm } from './stop.js';

const seen = (change: Partial<VmSeen> = {}): VmSeen => ({
  vmUuid: VM,
  name: 'vm1',
  state: 'Running',
  epoch: 1,
  pid: 9,
  startTime: 9,
  knownToLibvirt: true,
  hasProcess: true,
  ...change,
});

async function makeWorld() {
  const world = await makeHaWorld();
  const inventory = makeVmInventory({ ...world.deps });
  /** The host reports it, and says the same when it is asked again. */
  const changed = (vm: VmSeen, n = 1) => {
    const host = world.hosts[n - 1];
    if (host !== undefined) host.vms = [vm];
    return inventory.changed({ hostUuid: hostUuid(n), bootId: `boot-${n}`, vm });
  };
  const row = () =>
    world.store.db.selectFrom('vms').selectAll().where('uuid', '=', VM).executeTakeFirstOrThrow();
  const kinds = (): string[] => world.seen.map(({ kind }) => kind);
  return { ...world, inventory, changed, row, kinds };
}

describe('what hosts report', () => {
  test('F33: a live qemu without a run is adopted into the ledger', async () => {
    const world = await makeWorld();
    await world.changed(seen({ epoch: null }));
    expect(await world.ledger.openRuns(VM)).toMatchObject([
      { epoch: 1, hostUuid: hostUuid(1), bootId: 'boot-1', state: 'running' },
    ]);
    expect(world.kinds()).toContain('vm.adopted');
  });

  test('a report that was on its way while its run was closed is not adopted', async () => {
    const world = await makeWorld();
    await world.inventory.changed({ hostUuid: hostUuid(1), bootId: 'boot-1', vm: seen() });
    expect(await world.ledger.openRuns(VM)).toEqual([]);
  });

  test('F33: a host that can not be asked again is no reason to forget what it has just reported', async () => {
    const world = await makeWorld();
    world.judgeDead(1);
    await world.inventory.changed({ hostUuid: hostUuid(1), bootId: 'boot-1', vm: seen() });
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ hostUuid: hostUuid(1), mark: 1 }]);
  });

  test('F33: unless that very life was proven over since', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    await stopVm(world.deps, { vmUuid: VM, gracefulMs: 0, timeoutMs: 1_000 });
    world.judgeDead(1);
    await world.inventory.changed({ hostUuid: hostUuid(1), bootId: 'boot-1', vm: seen() });
    expect(await world.ledger.openRuns(VM)).toEqual([]);
  });

  test('F33: reporting it again opens no second run', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    await world.changed(seen());
    expect(await world.ledger.openRuns(VM)).toHaveLength(1);
  });

  test('a second live qemu is adopted too and alarmed: both bar a start', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    await world.changed(seen(), 2);
    expect(await world.ledger.openRuns(VM)).toHaveLength(2);
    expect(world.seen.find(({ kind }) => kind === 'vm.runsTwice')).toMatchObject({
      severity: 'critical',
      text: expect.stringMatching(/run 1 on h1 and run 2 on h2 are open.*fenceline vm stop vm1/),
    });
  });

  test('I3: a live qemu under a new boot of its host is a newer run, and the only one', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    const [host] = world.hosts;
    const vm = seen({ epoch: null, pid: 10 });
    if (host !== undefined) Object.assign(host, { bootId: 'boot-9', vms: [vm] });
    await world.inventory.changed({ hostUuid: hostUuid(1), bootId: 'boot-9', vm });
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ bootId: 'boot-9', mark: null }]);
    expect(world.kinds()).not.toContain('vm.runsTwice');
    expect(world.called('vmDestroy')).toEqual([]);
  });

  test('I1: as long as two runs are open on two hosts it is a critical alarm, and nothing is protected', async () => {
    const world = await makeWorld();
    const look = async () => {
      const ha = new HaSettings();
      const seenFencing = { linesTo: () => [], missingSince: () => undefined };
      const { alarms } = await status(world.store.db, {
        ...{ clock: world.clock, haOf: () => ha, seen: { ...seenFencing, orderTokens: () => 1 } },
        ...{ storeProblem: undefined, chainProblem: undefined },
      });
      const vm = await showVm(world.store.db, VM, () => ha);
      return { twice: alarms.filter(({ kind }) => kind === 'vm.runsTwice'), vm };
    };
    await world.changed(seen());
    expect((await look()).twice).toEqual([]);
    await world.changed(seen(), 2);
    // An older report of either host ends nothing.
    await world.changed(seen());
    const { twice, vm } = await look();
    expect(twice).toEqual([
      expect.objectContaining({
        ...{ severity: 'critical', vmUuid: VM },
        text: expect.stringMatching(/run 1 on h1 \(running\) and run 2 on h2 \(running\)/),
      }),
    ]);
    expect(vm).toMatchObject({
      protected: false,
      protection: expect.stringMatching(/two qemus may write to its disks: run 1 on h1 .* on h2/),
    });
    await stopVm(world.deps, { vmUuid: VM, gracefulMs: 0, timeoutMs: 1_000 });
    expect((await look()).twice).toEqual([]);
  });

  test('F11: an adopted run whose mark is above the ledger lifts the epochs above it', async () => {
    const world = await makeWorld();
    await world.changed(seen({ epoch: 40 }));
    expect((await world.row()).epoch).toBe(40);
  });

  test('D13: a maybe run that is reported with its epoch is running', async () => {
    const world = await makeWorld();
    const ask = { vmUuid: VM, hostUuid: hostUuid(2), bootId: 'boot-2', liveOn: [] };
    await world.ledger.grant({ ...ask, lastSignOfLifeMs: () => undefined });
    await world.changed(seen({ epoch: 1 }), 2);
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ state: 'running' }]);
    expect(await world.row()).toMatchObject({ state: 'Running', hostUuid: hostUuid(2) });
  });

  test('F33: a VM reported stopped is shown so, and its run stays open until it is proven over', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    await world.changed(seen({ state: 'Stopped', hasProcess: false, pid: null, epoch: null }));
    expect((await world.row()).state).toBe('Stopped');
    expect(await world.ledger.openRuns(VM)).toHaveLength(1);
  });
});

describe('a definition is read while a run is open on another host', () => {
  const domain = { name: 'vm1', memoryMiB: 1, cpus: 1, disks: [], domainXml: '<domain/>' };

  /** The server asks h2 for the definition, and h1 runs the VM. */
  async function asked(beforeAnswer: (world: World) => Promise<unknown> = async () => undefined) {
    const world = await makeWorld();
    const call = async (_: unknown, { name }: { name: string }): Promise<object> => {
      if (name !== 'vmDomain') return { success: true, vms: [seen()], bootId: 'boot-2' };
      await beforeAnswer(world);
      return { success: true, ...domain };
    };
    const gateway = { call } as unknown as AgentGateway;
    return { ...world, inventory: makeVmInventory({ ...world.deps, gateway }) };
  }
  type World = Awaited<ReturnType<typeof makeWorld>>;

  test('F40: it is refused in words, and the store answers afterwards', async () => {
    const world = await asked();
    await world.changed(seen());
    const refused = world.inventory.importVm(hostUuid(2), VM);
    await expect(refused).rejects.toThrow('a run of VM vm1 is open on h1');
    expect(await world.row()).toMatchObject({ name: 'vm1' });
  });

  test('F33: a report that comes late takes the VM as it is by now', async () => {
    const known: VmsTable[] = [];
    const world = await asked(async (one) => {
      await one.store.db.insertInto('vms').values(known).execute();
      await one.changed(seen());
    });
    known.push(await world.row());
    await world.store.db.deleteFrom('vms').execute();
    const idle = seen({ hasProcess: false, state: 'Stopped', pid: null, epoch: null });
    await world.inventory.changed({ hostUuid: hostUuid(2), bootId: 'boot-2', vm: idle });
    expect(await world.row()).toMatchObject({ domainXml: expect.stringContaining('<') });
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ hostUuid: hostUuid(1) }]);
  });
});

test('F21a: a VM that is written by io_uring is taken in, and shown as one that no fence can prove dead', async () => {
  const world = await makeWorld();
  const { db } = world.store;
  const kinds: DiskKind[] = ['file', 'uring-file'];
  const call = async (_: unknown, { name }: { name: string }): Promise<object> =>
    name === 'vmDomain'
      ? { success: true, name: 'vm1', memoryMiB: 1, cpus: 1, domainXml: '<domain/>', disks: [disk] }
      : { success: true, vms: [seen()], bootId: 'boot-1' };
  const disk = { kind: kinds[0], source: '/srv/a' };
  const gateway = { call } as unknown as AgentGateway;
  const inventory = makeVmInventory({ ...world.deps, gateway });
  const shown = async () => (await showVm(db, VM, () => new HaSettings())).protection;
  await inventory.importVm(hostUuid(1), VM);
  await db.updateTable('vms').set({ level: 'neverStop' }).execute();
  expect(await shown()).not.toContain('io_uring');
  // Its definition was changed after it was protected.
  disk.kind = kinds[1];
  await inventory.importVm(hostUuid(1), VM);
  expect(await shown()).toContain('a disk of it is written by io_uring');
  await db.deleteFrom('vms').execute();
  await inventory.importVm(hostUuid(1), VM);
  expect(world.seen.findLast(({ kind }) => kind === 'vm.imported')?.text).toContain(
    "it can't be protected, as its disk /srv/a is written by io_uring",
  );
});

describe('a stop by a person', () => {
  const message = { vmUuid: VM, gracefulMs: 0, timeoutMs: 1_000 };

  test('closes the run by cleanStop, and HA leaves the VM alone from then on', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    await stopVm(world.deps, message);
    const kinds = await world.store.db.selectFrom('proofs').select('kind').execute();
    expect(kinds).toEqual([{ kind: 'cleanStop' }]);
    expect(await world.row()).toMatchObject({ state: 'Stopped', stoppedByPerson: 1 });
  });

  test('D9: the wish is durable before the order', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    const wishes: number[] = [];
    const closeOnHost: typeof world.closeOnHost = async (...asked) => {
      wishes.push((await world.row()).stoppedByPerson);
      return world.closeOnHost(...asked);
    };
    await stopVm({ ...world.deps, closeOnHost }, message);
    expect(wishes).toEqual([1]);
  });

  test('D9: ends an older start that waits for a host; a refused one does not', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    const wanted = { ...{ vmUuid: VM, reason: 'by a person', judger: 'manual' as const } };
    const lists = { siblingHostUuids: [], softAvoidHostUuids: [] };
    const task = await world.tasks.openOrCreate({ ...wanted, ...lists });
    const host = world.hosts[0];
    if (host !== undefined) host.up = false;
    await expect(stopVm(world.deps, message)).rejects.toThrow('not proven stopped');
    expect(await world.tasks.openTaskOf(VM)).toMatchObject({ uuid: task.uuid });
    if (host !== undefined) host.up = true;
    await stopVm(world.deps, message);
    expect(await world.tasks.openTaskOf(VM)).toBeUndefined();
    expect(await world.tasks.find(task.uuid)).toMatchObject({ state: 'cancelled' });
  });

  test('I1: a copy whose host can not prove it keeps no other from being stopped, and each is told apart', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    await world.changed(seen(), 2);
    world.judgeDead(1);
    const refused = stopVm(world.deps, message);
    await expect(refused).rejects.toThrow(
      /not proven stopped on h1 \(run 1\): its agent .*; it is proven stopped on h2 \(run 2\)/,
    );
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ hostUuid: hostUuid(1) }]);
    // It is shown where it may run, and HA is in charge of that.
    expect(await world.row()).toMatchObject({ hostUuid: hostUuid(1), stoppedByPerson: 0 });
  });

  test('is refused in words while the host can not prove it, and then nothing has changed', async () => {
    const world = await makeWorld();
    await world.changed(seen());
    world.judgeDead(1);
    await expect(stopVm(world.deps, message)).rejects.toThrow('not proven stopped on h1');
    expect(await world.row()).toMatchObject({ state: 'Running', stoppedByPerson: 0 });
  });
});
