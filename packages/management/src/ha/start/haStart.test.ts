import { describe, expect, test } from '@jest/globals';
import { sleep } from '@fenceline/common';
import { RemoteError, TransportError } from '@fenceline/protocol';
import type { HostJudgement } from '../../hosts/contracts.js';
import { vmRow } from '../testing/rows.js';
import { haStartFlow } from './haStart.js';
import {
  deadVerdict,
  hostUuid,
  makeHaWorld,
  VM,
  type FakeHost,
  type HaWorld,
} from '../testing/haWorld.js';

const byPerson = {
  ...{ vmUuid: VM, reason: 'a person', judger: 'manual' as const },
  ...{ siblingHostUuids: [], softAvoidHostUuids: [] },
};
const FLOWS = haStartFlow.steps.map(({ name }) => name);

/** The VM runs on h1 as run 1, and h1 is judged dead. */
async function withDeadHost(options = {}): Promise<HaWorld> {
  const world = await makeHaWorld(options);
  await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  world.judgeDead(1);
  return world;
}

const vmRowOf = (world: HaWorld) =>
  world.store.db.selectFrom('vms').selectAll().where('uuid', '=', VM).executeTakeFirstOrThrow();
const history = (world: HaWorld) => world.store.db.selectFrom('history').selectAll().execute();
const steps = (world: HaWorld) => world.store.db.selectFrom('haTaskSteps').selectAll().execute();
const runs = (world: HaWorld) =>
  world.store.db.selectFrom('runs').selectAll().orderBy('epoch').execute();

describe('an HA start that succeeds', () => {
  test('F1: runs its four flows in their order, and the VM runs elsewhere', async () => {
    const world = await withDeadHost();
    const reply = await world.start();
    expect(reply.error).toBeUndefined();
    expect(reply.vm?.hostUuid).not.toBe(hostUuid(1));
    const names = (await steps(world)).map(({ name }) => name);
    expect(names.filter((name) => FLOWS.includes(name))).toEqual([
      'ha-pre-fence-vm',
      'before-ha-start-vm-instance',
      'mark-vm-stopped-and-save-last-host',
      'start-ha-vm',
    ]);
    expect(await vmRowOf(world)).toMatchObject({ state: 'Running', lastHostUuid: hostUuid(1) });
  });

  test('F33: the old run is closed by a stored proof, the new one is open with a higher epoch', async () => {
    const world = await withDeadHost();
    await world.start();
    const proofs = await world.store.db.selectFrom('proofs').selectAll().execute();
    expect(proofs).toMatchObject([{ kind: 'peerConfirmedDead', epoch: 1, vmUuid: VM }]);
    expect(await runs(world)).toMatchObject([
      { epoch: 1, state: 'closed', proofUuid: proofs[0]?.uuid },
      { epoch: 2, state: 'running', proofUuid: null },
    ]);
    expect(world.called('vmStart')[0]?.command).toMatchObject({
      epoch: 2,
      closedRuns: [{ epoch: 1, proofDigest: proofs[0]?.digest }],
    });
  });

  test('F9: one history row, ended once, with destination, proof and step times', async () => {
    const world = await withDeadHost();
    const reply = await world.start();
    const rows = await history(world);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ success: 1, destinationHostUuid: reply.vm?.hostUuid });
    expect(rows[0]?.endedAt).not.toBeNull();
    expect(JSON.parse(rows[0]?.proofDigestsJson ?? '')).toHaveLength(1);
    expect(JSON.parse(rows[0]?.stepsJson ?? '').length).toBeGreaterThan(4);
  });

  test('each step says what came of it', async () => {
    const world = await withDeadHost();
    await world.start();
    const told = (await steps(world)).map(({ name, detailJson }) => `${name} ${detailJson}`);
    expect(told).toContain('refresh {"openRuns":1}');
    expect(told).toContain('grant {"run":2,"proofs":1}');
    expect(told.join('\n')).toMatch(
      /^fence run 1 on \S+ \{"proof":"peerConfirmedDead","by":"peer:/m,
    );
    expect(told.join('\n')).toMatch(/^placement \{"host":"h/m);
  });

  test('D15: a fence without proof is a step that failed, with what each channel said', async () => {
    const world = await withDeadHost();
    for (const host of world.hosts)
      host.fence = () => {
        throw new TransportError('timeout', 'no answer');
      };
    await world.start();
    const fence = (await steps(world)).find(({ name }) => name.startsWith('fence run'));
    expect(fence).toMatchObject({ result: 'failed' });
    expect(Object.keys(JSON.parse(fence?.detailJson ?? ''))).toEqual(['peer', 'own-agent']);
  });

  test('D15: so is a start command that was refused', async () => {
    const world = await withDeadHost();
    for (const host of world.hosts)
      host.start = () => {
        throw new TransportError('timeout', 'no answer');
      };
    await world.start();
    const start = (await steps(world)).find(({ name }) => name === 'start-command');
    expect(start).toMatchObject({ result: 'failed' });
  });

  test('F6: the siblings of the message are asked in its order, as a frozen copy', async () => {
    const world = await withDeadHost();
    const siblingHostUuids = [hostUuid(3), hostUuid(2)];
    const sent = world.start({ siblingHostUuids });
    siblingHostUuids.reverse();
    await sent;
    expect(world.called('fenceVm')[0]?.hostUuid).toBe(hostUuid(3));
  });
});

describe('an HA start that is refused', () => {
  const alive = { qemuConfirmedDead: false, qemuStillAlive: true, outcome: 'stillAlive' };

  async function refusing(): Promise<HaWorld> {
    const world = await withDeadHost();
    for (const host of world.hosts) {
      const fence = host.fence;
      host.fence = (command) => ({ ...fence(command), ...deadVerdict(alive) });
    }
    return world;
  }

  test('F2: 0 extension calls, 0 writes to the VM, 0 starts', async () => {
    const world = await refusing();
    let asked = 0;
    world.extensions.push({ name: 'x', beforeHaStart: async () => void (asked += 1) });
    const before = await vmRowOf(world);
    const reply = await world.start();
    expect(reply.error?.code).toBe('REFUSED');
    expect(asked).toBe(0);
    expect(await vmRowOf(world)).toEqual(before);
    expect(world.called('vmStart')).toEqual([]);
  });

  test('F8: the text names VM, suspect, actual state, what each channel said, and the ways out', async () => {
    const world = await refusing();
    const reply = await world.start();
    expect(reply.error?.message).toContain('VM vm1 (Running) was not started');
    expect(reply.error?.message).toContain('run 1 on h1');
    expect(reply.error?.message).toContain('stillAlive');
    expect(reply.error?.message).toContain('own-agent:');
    const task = await world.tasks.openTaskOf(VM);
    expect(task?.waysOut.join()).toContain('confirm-dead h1');
    expect(task?.state).toBe('refused');
    expect(task?.nextTryAt).not.toBeNull();
  });

  test('F14: a qemu that is alive is an answer: no second peer is asked', async () => {
    const world = await refusing();
    await world.start();
    expect(world.called('fenceVm')).toHaveLength(1);
  });

  test('F9: its history row is ended once, as a failure with the reason', async () => {
    const world = await refusing();
    await world.start();
    expect(await history(world)).toMatchObject([{ success: 0, destinationHostUuid: null }]);
  });

  test('F1: an extension that objects refuses; all of them are asked and named', async () => {
    const world = await withDeadHost();
    for (const name of ['one', 'two'])
      world.extensions.push({
        name,
        beforeHaStart: async () => Promise.reject(new Error(`${name} objects`)),
      });
    const reply = await world.start();
    expect(reply.error?.message).toContain('one: one objects; two: two objects');
    expect(world.called('vmStart')).toEqual([]);
  });

  test('F7: a start that fails everywhere puts the displayed state back, with an event', async () => {
    const world = await withDeadHost();
    for (const host of world.hosts)
      host.start = () => {
        throw new RemoteError(502, { code: 'LIBVIRT_FAILED', message: 'no such network' });
      };
    const before = await vmRowOf(world);
    await world.start();
    expect(await vmRowOf(world)).toEqual({ ...before, epoch: 3 });
    expect(world.seen.map(({ kind }) => kind)).toContain('vm.stateRestored');
  });

  test('F1: no destination: nothing is fenced for nothing', async () => {
    const world = await withDeadHost();
    await world.store.db.updateTable('hosts').set({ state: 'Disabled' }).execute();
    const reply = await world.start();
    expect(reply.error?.message).toContain('nothing was fenced');
    expect(world.called('fenceVm')).toEqual([]);
  });
});

describe('the judger', () => {
  test('F1: says no: success, nothing done, no history row', async () => {
    const world = await withDeadHost();
    await world.store.db.updateTable('vms').set({ level: 'none' }).execute();
    expect(await world.start()).toEqual({});
    expect(await history(world)).toEqual([]);
    expect(world.calls).toEqual([]);
  });

  test('D9: leaves alone what a person stopped, and starts what a person asks for', async () => {
    const world = await withDeadHost();
    const wish = (stoppedByPerson: number) =>
      world.store.db.updateTable('vms').set({ stoppedByPerson }).execute();
    await wish(1);
    for (const judger of ['host-failure', 'vm-crash', 'manual'] as const)
      expect(await world.start({ judger })).toEqual({});
    await wish(0);
    expect((await world.start({ judger: 'manual' })).vm).toBeDefined();
  });
});

describe('a host that runs the VM under a new boot', () => {
  const qemu = { pid: 9, startTime: 9, knownToLibvirt: true, hasProcess: true };

  /** libvirt, or a person, started it there: with the old run's mark or without any. */
  async function autostarted(epoch: number | null) {
    const world = await makeHaWorld();
    await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
    const host = world.hosts[0] as FakeHost;
    host.bootId = 'boot-9';
    host.vms = [{ vmUuid: VM, name: 'vm1', state: 'Running', epoch, ...qemu }];
    return world;
  }

  test.each([null, 1])(
    'I3, F33: mark %j: it is a run of its own, adopted, not killed',
    async (mark) => {
      const world = await autostarted(mark);
      expect((await world.start()).vm).toEqual({ uuid: VM, hostUuid: hostUuid(1), epoch: 2 });
      expect(await runs(world)).toMatchObject([
        { epoch: 1, state: 'closed', bootId: 'boot-1' },
        { epoch: 2, state: 'running', bootId: 'boot-9', mark },
      ]);
      expect(world.called('vmDestroy')).toEqual([]);
      expect(world.called('vmStart')).toEqual([]);
      expect(await world.tasks.openTaskOf(VM)).toBeUndefined();
    },
  );
});

describe('pre-fence settings', () => {
  test('F4: a VM of another hypervisor is not fenced by a peer, and needs a proof all the same', async () => {
    const world = await withDeadHost();
    await world.store.db.updateTable('vms').set({ hypervisor: 'ESX' }).execute();
    const reply = await world.start();
    expect(world.called('fenceVm')).toEqual([]);
    expect(reply.error?.code).toBe('REFUSED');
    expect(world.called('vmStart')).toEqual([]);
  });

  test('F5: whenHinted asks no peer without hints, and still starts nothing without proof', async () => {
    const world = await withDeadHost();
    world.settings.ha.preFence.mode = 'whenHinted';
    expect((await world.start()).error?.code).toBe('REFUSED');
    expect(world.called('fenceVm')).toEqual([]);
    const hinted = await world.start({ siblingHostUuids: [hostUuid(2)] });
    expect(hinted.vm).toBeDefined();
  });

  test('F16: the call of a peer has its own deadline and takes the setting in force', async () => {
    const world = await withDeadHost();
    world.settings.ha.preFence.sshTimeoutSec = 7;
    await world.start();
    expect(world.called('fenceVm')[0]?.command).toMatchObject({ sshTimeoutSec: 7 });
  });
});

describe('a start whose answer is lost', () => {
  test('F33: is resolved before another host is tried: it ran, so it is adopted', async () => {
    const world = await withDeadHost();
    for (const host of world.hosts) {
      const start = host.start;
      host.start = (command) => {
        start(command);
        throw new TransportError('reset', 'connection reset');
      };
    }
    const reply = await world.start();
    expect(reply.vm).toMatchObject({ epoch: 2 });
    expect(world.called('vmStart')).toHaveLength(1);
  });

  test('F33: it never began there: proven so, then the next host is tried', async () => {
    const world = await withDeadHost();
    let lost = 0;
    for (const host of world.hosts) {
      const start = host.start;
      host.destroy = withNeverBegan(host.destroy);
      host.start = (command) => {
        lost += 1;
        if (lost === 1) throw new TransportError('reset', 'connection reset');
        return start(command);
      };
    }
    const reply = await world.start();
    expect(reply.vm).toMatchObject({ epoch: 3 });
    const kinds = await world.store.db.selectFrom('proofs').select('kind').execute();
    expect(kinds.map(({ kind }) => kind)).toEqual(['peerConfirmedDead', 'neverBegan']);
  });

  test('F33: and its host is silent: no other host is tried, the run stays open', async () => {
    const world = await withDeadHost();
    for (const host of world.hosts)
      host.start = () => {
        host.up = false;
        throw new TransportError('timeout', 'no answer');
      };
    const reply = await world.start();
    expect(reply.error?.message).toContain('not proven that nothing runs there');
    expect(world.called('vmStart')).toHaveLength(1);
    expect(await runs(world)).toMatchObject([{ state: 'closed' }, { epoch: 2, state: 'maybe' }]);
  });

  test('F40: a locked image stops the attempt: somebody writes, so no next host', async () => {
    const world = await withDeadHost();
    for (const host of world.hosts)
      host.start = () => {
        throw new RemoteError(409, { code: 'IMAGE_LOCKED', message: 'Failed to get "write" lock' });
      };
    const reply = await world.start();
    expect(reply.error?.message).toContain('its image is locked');
    expect(world.called('vmStart')).toHaveLength(1);
  });
});

describe('D6: a run whose host gives no answer', () => {
  const judged = (world: HaWorld, change: Partial<HostJudgement>): void => {
    const old = world.judgements.get(hostUuid(1));
    if (old !== undefined) world.judgements.set(hostUuid(1), { ...old, ...change });
  };
  const orders = (world: HaWorld): number =>
    world.called('fenceVm').length + world.called('vmDestroy').length;

  test.each([
    ['came back', { action: 'cancel' }],
    ['is only an alarm', { action: 'alarm' }],
    ['runs under this very boot again', { action: 'closeRebooted', inputs: { bootId: 'boot-1' } }],
  ] as const)('D6: and %s: nothing is fenced', async (_what, change) => {
    const world = await withDeadHost();
    judged(world, change);
    const reply = await world.start();
    expect(reply.error?.message).toContain('nothing was fenced: its host is not judged');
    expect([orders(world), world.called('vmStart')]).toEqual([0, []]);
  });

  test('D6: and is not judged yet: nothing is fenced, unless a person orders it', async () => {
    const world = await withDeadHost();
    world.judgements.clear();
    expect((await world.start()).error?.message).toContain('its host is not judged');
    expect(orders(world)).toBe(0);
    await world.tasks.refresh((await world.tasks.openTaskOf(VM))?.uuid ?? '', byPerson);
    expect((await world.start({ judger: 'manual' })).vm).toBeDefined();
  });

  test('D6: but its list shows the VM alive: a person who orders a start does not kill it', async () => {
    const world = await withDeadHost();
    judged(world, { action: 'cancel' });
    const [h1] = world.hosts;
    h1?.start({ vmUuid: VM, epoch: 1 } as never);
    world.presence.liveVms = (uuid) => (uuid === h1?.uuid ? h1.vms : []);
    const reply = await world.start({ judger: 'manual' });
    expect(reply.error?.message).toContain('its host shows it alive');
    expect(orders(world)).toBe(0);
  });

  test('D6: and runs under another boot: its old run is closed', async () => {
    const world = await withDeadHost();
    judged(world, { action: 'closeRebooted', inputs: { bootId: 'boot-9' } });
    expect((await world.start()).vm).toBeDefined();
  });

  test('D6: and comes back during the fence: called off, no further peer, looked at anew at once', async () => {
    const world = await withDeadHost();
    for (const host of world.hosts)
      host.fence = () => {
        judged(world, { action: 'cancel', why: 'it came back' });
        throw new TransportError('timeout', 'no answer');
      };
    const reply = await world.start();
    expect(reply.error?.message).toContain(
      'was called off, as its host is not judged to be fenced',
    );
    expect([world.called('fenceVm').length, world.called('vmDestroy').length]).toEqual([1, 0]);
    const task = await world.tasks.openTaskOf(VM);
    expect(Date.parse(task?.nextTryAt ?? '')).toBeLessThanOrEqual(world.clock.wallMs());
    expect(world.seen.map(({ kind }) => kind)).toContain('ha.task.calledOff');
  });
});

describe('the gate', () => {
  test('F38: a VM that is alive on another host is not started', async () => {
    const world = await withDeadHost();
    const stray = world.hosts[2];
    stray?.vms.push({
      vmUuid: VM,
      name: 'vm1',
      state: 'Running',
      epoch: 9,
      pid: 1,
      startTime: 1,
      knownToLibvirt: true,
      hasProcess: true,
    });
    const reply = await world.start();
    expect(reply.error?.message).toContain('seen alive');
    expect(world.called('vmStart')).toEqual([]);
  });

  test('F3: a run that its healthy host reports alive is adopted, not fenced', async () => {
    const world = await makeHaWorld();
    await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
    world.hosts[0]?.start({ vmUuid: VM, epoch: 1 } as never);
    const reply = await world.start();
    expect(reply.vm).toEqual({ uuid: VM, hostUuid: hostUuid(1), epoch: 1 });
    expect(world.called('vmDestroy').concat(world.called('fenceVm'))).toEqual([]);
  });

  test('F3: an adopted run whose mark is below its epoch is that run: alive, left alone', async () => {
    const world = await makeHaWorld();
    await world.store.db.updateTable('vms').set({ epoch: 4 }).execute();
    await world.ledger.adopt({ vmUuid: VM, mark: 2, hostUuid: hostUuid(1), bootId: 'boot-1' });
    world.hosts[0]?.start({ vmUuid: VM, epoch: 2 } as never);
    expect((await world.start()).vm).toMatchObject({ hostUuid: hostUuid(1), epoch: 5 });
    expect(world.called('vmDestroy').concat(world.called('fenceVm'))).toEqual([]);
  });

  test('F41: hostUnreachable is looked at again when the start is sent', async () => {
    const silent = {
      qemuConfirmedDead: false,
      targetHostUnreachable: true,
      outcome: 'unreachable',
    };
    const make = async (): Promise<HaWorld> => {
      const world = await withDeadHost();
      world.settings.ha.unreachable.policy = 'single';
      for (const host of world.hosts)
        host.fence = () => ({ hostUuid: hostUuid(1), ...deadVerdict(silent) });
      return world;
    };
    expect((await (await make()).start()).error).toBeUndefined();
    const world = await make();
    world.extensions.push({
      name: 'the host answers after it was found unreachable, before the start',
      beforeHaStart: async () => {
        await sleep(world.clock, 10);
        world.presence.noteSignOfLife(hostUuid(1), 'it answered');
      },
    });
    const reply = await world.start();
    expect(reply.error?.message).toContain('sign of life after it was found unreachable');
    expect(world.called('vmStart')).toEqual([]);
    await world.ledger.reviseProofs({
      vmUuid: VM,
      lastSignOfLifeMs: (uuid) => world.presence.lastSignOfLifeMs(uuid),
    });
    expect(await runs(world)).toMatchObject([{ epoch: 1, state: 'maybe' }]);
  });

  test('stillAlive at one channel bars silence at another: the agent that answers is a sign of life', async () => {
    const world = await withDeadHost();
    world.settings.ha.unreachable.policy = 'single';
    world.judgements.clear();
    const [h1] = world.hosts;
    if (h1 !== undefined) {
      h1.up = true;
      h1.destroy = (command) => ({
        ...{ hostUuid: h1.uuid, bootId: h1.bootId, pidNamespace: 'pid:[1]' },
        ...{ highestBegan: 1, beganKnown: true },
        verdict: {
          vmUuid: command.vmUuid,
          ...deadVerdict({ qemuConfirmedDead: false, qemuStillAlive: true, outcome: 'stillAlive' }),
        },
      });
    }
    for (const host of world.hosts)
      host.fence = () => ({
        hostUuid: hostUuid(1),
        ...deadVerdict({
          ...{ qemuConfirmedDead: false, targetHostUnreachable: true, outcome: 'unreachable' },
        }),
      });
    const reply = await world.start();
    expect(reply.error?.message).toContain('own-agent: its agent said stillAlive');
    expect(world.called('vmStart')).toEqual([]);
  });

  test('F14: a newer run than the ledger knows of stops the attempt, the other channels too', async () => {
    const world = await withDeadHost();
    for (const host of world.hosts)
      host.fence = () => {
        throw new RemoteError(409, { code: 'STALE_EPOCH', message: 'a newer run exists' });
      };
    const reply = await world.start();
    expect(reply.error?.message).toContain('newer');
    expect(world.called('fenceVm')).toHaveLength(1);
    expect(world.called('vmStart')).toEqual([]);
  });

  test('F17: two runs of one VM that wait for a peer go as one order, and both get its answer', async () => {
    const world = await withDeadHost();
    const other = 'a0000000-0000-4000-8000-000000000002';
    const row = vmRow([], { uuid: other, name: 'vm2' });
    await world.store.db.insertInto('vms').values(row).execute();
    const ask = { hostUuid: hostUuid(1), siblingHostUuids: [], timeoutMs: 60_000 };
    // The first one is on its way while the others come.
    const orders = [
      { vmUuid: other, epoch: 1 },
      { vmUuid: VM, epoch: 1 },
      { vmUuid: VM, epoch: 2 },
    ].map((order) => world.bus.send('FenceVmOnHost', { ...ask, ...order }));
    const replies = await world.clock.settle(Promise.all(orders));
    expect(replies.map(({ evidence }) => evidence.map(({ outcome }) => outcome))).toEqual(
      replies.map(() => ['confirmedDead']),
    );
    const sent = world.called('fenceVm').map(({ command }) => command);
    expect(sent).toEqual([
      expect.objectContaining({ vmUuid: other, fenceEpoch: 1 }),
      expect.objectContaining({ vmUuid: VM, fenceEpoch: 2 }),
    ]);
  });

  test('F11: two HA starts of one VM at once end in one start', async () => {
    const world = await withDeadHost();
    const message = {
      vmUuid: VM,
      reason: 'r',
      siblingHostUuids: [],
      judger: 'host-failure' as const,
      softAvoidHostUuids: [],
      timeoutMs: 600_000,
    };
    const both = [1, 2].map(() => world.bus.send('HaStartVmInstance', message));
    await world.clock.settle(Promise.all(both));
    expect(world.called('vmStart')).toHaveLength(1);
  });
});

function withNeverBegan(destroy: FakeHost['destroy']): FakeHost['destroy'] {
  return (command) => ({ ...destroy(command), highestBegan: null });
}
