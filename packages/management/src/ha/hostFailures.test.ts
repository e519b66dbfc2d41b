import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import type { HostJudgement } from '../hosts/contracts.js';
import { makeHostFailures } from './hostFailures.js';
import { vmRow } from './testing/rows.js';
import { hostUuid, makeHaWorld, VM } from './testing/haWorld.js';

const OTHER = 'a0000000-0000-4000-8000-000000000002';

async function makeWorld() {
  const world = await makeHaWorld();
  const row = vmRow([{ kind: 'file', source: '/srv/shared/vm1.img' }], {
    uuid: OTHER,
    name: 'vm2',
    priority: 'highest',
  });
  await world.store.db.insertInto('vms').values(row).execute();
  for (const vmUuid of [VM, OTHER])
    await world.ledger.adopt({ vmUuid, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  const marks: string[] = [];
  const dispatched: string[] = [];
  const failures = makeHostFailures({
    store: world.store,
    ledger: world.ledger,
    tasks: world.tasks,
    oldBoots: world.deps.oldBoots,
    power: { rebooted: async () => void marks.push('power settled') },
    log: silentLogger,
    marks: {
      fencingBegan: async () => void marks.push('fencing'),
      fencingCalledOff: async () => void marks.push('called off'),
      fenced: async () => void marks.push('fenced'),
    },
    dispatch: {
      ...world.dispatch,
      dispatch: async (task) => void dispatched.push(task.vmUuid),
    },
  });
  const judged = (change: Partial<HostJudgement> = {}) =>
    world.clock.settle(
      failures.judged({
        hostUuid: hostUuid(1),
        row: 'dead',
        action: 'fence',
        channels: ['peer', 'own-agent', 'power'],
        siblingHostUuids: [hostUuid(2)],
        inputs: {},
        why: 'it is silent',
        ...change,
      }),
    );
  return { ...world, failures, judged, marks, dispatched };
}

describe('a host that is judged to be fenced', () => {
  test('D9: each protected VM with an open run there gets one task, most important first', async () => {
    const world = await makeWorld();
    await world.judged();
    expect(world.dispatched).toEqual([OTHER, VM]);
    await world.judged();
    expect(await world.tasks.open()).toHaveLength(2);
  });

  test('D7: it is marked while proof is sought, and no longer after a refusal', async () => {
    const world = await makeWorld();
    await world.failures.began(hostUuid(1));
    expect(world.marks).toEqual([]);
    await world.judged();
    await world.failures.began(hostUuid(1));
    await world.failures.refused(hostUuid(1));
    expect(world.marks).toEqual(['fencing', 'called off']);
  });

  test('F8: its VMs are shown as unknown: nobody sees them any more', async () => {
    const world = await makeWorld();
    await world.judged();
    const states = await world.store.db.selectFrom('vms').select('state').execute();
    expect(states).toEqual([{ state: 'Unknown' }, { state: 'Unknown' }]);
  });

  test('a task that a person abandoned is not opened anew by the same failure', async () => {
    const world = await makeWorld();
    await world.judged();
    const task = await world.tasks.openTaskOf(VM);
    await world.clock.advance(1_000);
    await world.tasks.endAttempt(task?.uuid ?? '', 0, {
      state: 'abandoned',
      success: false,
      ended: true,
      proofDigests: [],
    });
    await world.judged();
    expect(await world.tasks.openTaskOf(VM)).toBeUndefined();
    await world.clock.advance(1_000);
    const lastSignOfLifeAt = new Date(world.clock.wallMs()).toISOString();
    await world.store.db.updateTable('hosts').set({ lastSignOfLifeAt }).execute();
    await world.judged();
    expect(await world.tasks.openTaskOf(VM)).toBeDefined();
  });

  test('D9: unprotected VMs and those that a person stopped are left alone', async () => {
    const world = await makeWorld();
    await world.store.db.updateTable('vms').set({ level: 'none' }).where('uuid', '=', VM).execute();
    await world.store.db
      .updateTable('vms')
      .set({ stoppedByPerson: 1 })
      .where('uuid', '=', OTHER)
      .execute();
    await world.judged();
    expect(await world.tasks.open()).toEqual([]);
  });

  test('an alarm brings nothing back', async () => {
    const world = await makeWorld();
    await world.judged({ action: 'alarm' });
    expect(await world.tasks.open()).toEqual([]);
  });

  test('F12: the task carries the vetted siblings of the newest judgement', async () => {
    const world = await makeWorld();
    await world.judged();
    const task = await world.tasks.openTaskOf(VM);
    await world.tasks.beginAttempt(task?.uuid ?? '');
    await world.judged({ siblingHostUuids: [hostUuid(3)] });
    expect((await world.tasks.openTaskOf(VM))?.siblingHostUuids).toEqual([hostUuid(3)]);
  });

  test('is fenced when its last run is proven over', async () => {
    const world = await makeWorld();
    await world.judged();
    await world.failures.runClosed(hostUuid(1));
    expect(world.marks).toEqual([]);
    await world.store.db.updateTable('runs').set({ state: 'closed' }).execute();
    await world.failures.runClosed(hostUuid(1));
    expect(world.marks).toEqual(['fenced']);
  });
});

describe('a host that rebooted', () => {
  const rebooted = {
    row: 'new boot',
    action: 'closeRebooted' as const,
    inputs: { bootId: 'boot-9' },
  };

  test('its protected VMs come back, there if possible', async () => {
    const world = await makeWorld();
    await world.judged(rebooted);
    expect((await world.tasks.openTaskOf(VM))?.preferredHostUuid).toBe(hostUuid(1));
  });

  test('a VM that nobody wants back gets its old run closed by hostRebooted', async () => {
    const world = await makeWorld();
    const host = world.hosts[0];
    if (host !== undefined) host.bootId = 'boot-9';
    await world.store.db.updateTable('vms').set({ level: 'none' }).execute();
    await world.judged(rebooted);
    const kinds = await world.store.db.selectFrom('proofs').select('kind').execute();
    expect(kinds).toEqual([{ kind: 'hostRebooted' }, { kind: 'hostRebooted' }]);
    expect(await world.tasks.open()).toEqual([]);
    expect(world.called('vmDestroy')).toEqual([]);
  });

  test('I3: what libvirt has started there since is a newer run: adopted, not killed', async () => {
    const world = await makeWorld();
    const [host] = world.hosts;
    if (host === undefined) throw new Error('no host');
    host.bootId = 'boot-9';
    const qemu = { pid: 9, startTime: 9, epoch: null, knownToLibvirt: true, hasProcess: true };
    host.vms = [{ vmUuid: VM, name: 'vm1', state: 'Running', ...qemu }];
    await world.store.db.updateTable('vms').set({ level: 'none' }).execute();
    await world.judged(rebooted);
    expect(await world.ledger.openRuns(VM)).toMatchObject([
      { epoch: 2, mark: null, bootId: 'boot-9', state: 'running' },
    ]);
    expect(world.called('vmDestroy')).toEqual([]);
    const kinds = world.seen.map(({ kind }) => kind);
    expect(kinds).toContain('vm.adopted');
    expect(kinds).not.toContain('vm.runsTwice');
  });

  test('a VM that can not be settled keeps no other one waiting', async () => {
    const world = await makeWorld();
    const [host] = world.hosts;
    if (host !== undefined) host.bootId = 'boot-9';
    await world.store.db.updateTable('vms').set({ level: 'none' }).execute();
    const { oldBoots } = world.deps;
    const close = oldBoots.close.bind(oldBoots);
    oldBoots.close = async (run) =>
      run.vmUuid === VM ? Promise.reject(new Error('disk full')) : close(run);
    await world.judged(rebooted);
    const open = await world.ledger.openRunsOnHost(hostUuid(1));
    expect(open.map(({ vmUuid }) => vmUuid)).toEqual([VM]);
  });

  test('hostRebooted: a host that answers under the boot of the run closes nothing', async () => {
    const world = await makeWorld();
    await world.store.db.updateTable('vms').set({ level: 'none' }).execute();
    await world.judged(rebooted);
    expect(await world.ledger.openRunsOnHost(hostUuid(1))).toHaveLength(2);
  });

  test('a VM that runs there again, started by somebody else, gets no task, however often told', async () => {
    const world = await makeWorld();
    for (const vmUuid of [VM, OTHER])
      await world.ledger.adopt({ vmUuid, mark: null, hostUuid: hostUuid(1), bootId: 'boot-9' });
    const [host] = world.hosts;
    if (host !== undefined) host.bootId = 'boot-9';
    for (let i = 0; i < 3; i += 1) await world.judged(rebooted);
    expect(await world.tasks.open()).toEqual([]);
    expect(world.called('vmDestroy')).toEqual([]);
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ bootId: 'boot-9' }]);
  });

  test('a new boot settles what was ordered of its power device before', async () => {
    const world = await makeWorld();
    await world.judged(rebooted);
    expect(world.marks).toEqual(['power settled']);
  });

  test('runs of the new boot are not touched', async () => {
    const world = await makeWorld();
    await world.judged({ ...rebooted, inputs: { bootId: 'boot-1' } });
    expect(await world.tasks.open()).toEqual([]);
    expect(world.calls).toEqual([]);
  });
});
