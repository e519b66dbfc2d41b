import { expect, test } from '@jest/globals';
import { makeKeyedQueue, silentLogger } from '@fenceline/common';
import { DomainError, StartVmCmd, type ErrorCode } from '@fenceline/protocol';
import { domainXml, FakeHost, HOST, VM } from '../../test/fakeHost.js';
import { RUN_MARK } from '../libvirt/domainXml.js';
import { dropClosedGrant, startVm, type StartPorts } from './startVm.js';

function portsOf({ libvirt, processes, state }: FakeHost): StartPorts {
  const host = { boot: async () => ({ bootId: 'boot-1', pidNamespace: '1' }) };
  return { host, libvirt, processes, state, log: silentLogger, queue: makeKeyedQueue(8) };
}

async function seededHost(): Promise<{ host: FakeHost; ports: StartPorts }> {
  const host = new FakeHost();
  await host.state.adopt(HOST, []);
  return { host, ports: portsOf(host) };
}

const command = (epoch: number, xml = domainXml()): StartVmCmd =>
  Object.assign(new StartVmCmd(), { vmUuid: VM, epoch, domainXml: xml, bootId: 'boot-1' });

const code = (expected: ErrorCode): unknown => expect.objectContaining({ code: expected });

test('F11: a start runs once with its mark; its epoch is on record before anything exists', async () => {
  const { host, ports } = await seededHost();
  const rsp = await startVm(ports, command(3));
  expect(rsp).toMatchObject({ success: true, state: 'Running', epoch: 3, pid: expect.any(Number) });
  expect(host.trace).toEqual(['prepared began=3', 'go grant=3']);
  expect(host.started[0]).toContain(RUN_MARK);
  expect(await host.state.grants()).toEqual([]);
});

test('F35: the run is on record after a start, with pid and start time', async () => {
  const { host, ports } = await seededHost();
  const { pid, startTime } = await startVm(ports, command(3));
  expect((await host.state.runs()).get(VM)).toEqual({ epoch: 3, pid, startTime });
});

test('F11: a repeat of an epoch answers the state and starts nothing, also when it has ended', async () => {
  const { host, ports } = await seededHost();
  await startVm(ports, command(3));
  expect(await startVm(ports, command(3))).toMatchObject({ state: 'Running', epoch: 3 });
  host.killQemus(VM);
  expect(await startVm(ports, command(3))).toMatchObject({ state: 'Stopped', epoch: null });
  expect(host.started).toHaveLength(1);
});

test('F11: a repeat while the first start is still under way says so', async () => {
  const { host, ports } = await seededHost();
  await host.state.recordBegan(VM, 3);
  await host.state.writeGrant({ vmUuid: VM, epoch: 3, pid: 77, startTime: 770 });
  host.helpers.set(77, 770);
  expect(await startVm(ports, command(3))).toMatchObject({ state: 'Starting', pid: null });
});

test('F11: two starts of one epoch at once start one qemu', async () => {
  const { host, ports } = await seededHost();
  const both = await Promise.all([startVm(ports, command(3)), startVm(ports, command(3))]);
  expect(both.map(({ epoch }) => epoch)).toEqual([3, 3]);
  expect(host.started).toHaveLength(1);
});

test('F11: a smaller epoch than one that began is stale', async () => {
  const { host, ports } = await seededHost();
  await startVm(ports, command(3));
  host.killQemus(VM);
  await expect(startVm(ports, command(2))).rejects.toThrow(code('STALE_EPOCH'));
  expect(host.started).toHaveLength(1);
});

test('F33: a start that was granted to another boot of this host is refused', async () => {
  const { host, ports } = await seededHost();
  for (const bootId of ['boot-0', ''])
    await expect(startVm(ports, Object.assign(command(3), { bootId }))).rejects.toThrow(
      code('CONFLICT'),
    );
  expect(await host.state.began(VM)).toBeUndefined();
});

test('F34: a start at or below the barrier is refused before anything is recorded', async () => {
  const { host, ports } = await seededHost();
  await host.state.raiseBarrier(VM, 5);
  await expect(startVm(ports, command(5))).rejects.toThrow(code('STALE_EPOCH'));
  expect(await host.state.began(VM)).toBeUndefined();
  expect(await startVm(ports, command(6))).toMatchObject({ epoch: 6 });
});

test('F34: a barrier that comes between the first look and the grant stops the start', async () => {
  const { host, ports } = await seededHost();
  const state = {
    ...host.state,
    writeGrant: async (grant: Parameters<typeof host.state.writeGrant>[0]) => {
      // The fence program writes its barrier, and has looked for a grant a moment too early.
      await host.state.raiseBarrier(VM, 3);
      await host.state.writeGrant(grant);
    },
  };
  await expect(startVm({ ...ports, state }, command(3))).rejects.toThrow(code('STALE_EPOCH'));
  expect(host.started).toEqual([]);
  expect(host.helpers.size).toBe(0);
  expect(await host.state.grants()).toEqual([]);
});

test('F34: a fence that comes after the grant finds it and ends the start', async () => {
  const { host, ports } = await seededHost();
  host.beforeGo = async () => {
    await host.localFence.fence({
      vms: [{ vmUuid: VM, fenceEpoch: 3, disks: [] }],
      deadlineMs: 1_000,
      killGraceMs: 0,
    });
  };
  await expect(startVm(ports, command(3))).rejects.toThrow(code('LIBVIRT_FAILED'));
  expect(host.started).toEqual([]);
  // Whether libvirt had taken it up by then is not known here.
  expect(await host.state.grants()).toMatchObject([{ epoch: 3 }]);
});

test('F34: a start without an answer of libvirt keeps its grant, one that was answered does not', async () => {
  const { host, ports } = await seededHost();
  host.startFailure = new DomainError('LIBVIRT_FAILED', 'no');
  await expect(startVm(ports, command(3))).rejects.toThrow(code('LIBVIRT_FAILED'));
  expect(await host.state.grants()).toEqual([]);
  host.startFailure = new DomainError('TIMED_OUT', 'no answer');
  host.startEnd = 'unresolved';
  await expect(startVm(ports, command(4))).rejects.toThrow(code('TIMED_OUT'));
  expect(await host.state.grants()).toMatchObject([{ vmUuid: VM, epoch: 4 }]);
});

test('F34: while a start is unresolved a repeat says so and a newer one is refused', async () => {
  const { host, ports } = await seededHost();
  host.startFailure = new DomainError('TIMED_OUT', 'no answer');
  host.startEnd = 'unresolved';
  await expect(startVm(ports, command(3))).rejects.toThrow(code('TIMED_OUT'));
  host.startFailure = undefined;
  host.startEnd = 'resolved';
  expect(await startVm(ports, command(3))).toMatchObject({ state: 'Starting', pid: null });
  const newer = startVm(ports, command(4));
  await expect(newer).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('an earlier start is unresolved'),
  });
  expect(await host.state.began(VM)).toBe(3);
  expect(host.started).toEqual([]);
});

test.each([
  [2, [{ epoch: 3 }], 'an older fence has not closed it'],
  [3, [], 'its own run was closed'],
  [4, [], 'a later one, too'],
])(
  'F34: after a fence of run %d an unresolved start of run 3 leaves %j: %s',
  async (epoch, left) => {
    const { host, ports } = await seededHost();
    await host.state.writeGrant({ vmUuid: VM, epoch: 3, pid: 77, startTime: 770 });
    await dropClosedGrant(ports, { vmUuid: VM, epoch });
    expect(await host.state.grants()).toMatchObject(left);
  },
);

test('F34: while an earlier start still lives, its grant stays and a newer start is refused', async () => {
  const { host, ports } = await seededHost();
  await host.state.writeGrant({ vmUuid: VM, epoch: 2, pid: 77, startTime: 770 });
  host.helpers.set(77, 770);
  await expect(startVm(ports, command(3))).rejects.toThrow('is under way');
  // How it ended was heard by nobody: the agent that began it is gone.
  host.helpers.set(77, 999);
  await expect(startVm(ports, command(3))).rejects.toThrow('is unresolved');
  expect(await host.state.grants()).toMatchObject([{ pid: 77 }]);
  await dropClosedGrant(ports, { vmUuid: VM, epoch: 2 });
  expect(await startVm(ports, command(3))).toMatchObject({ epoch: 3 });
});

test('F11: an agent without its records starts nothing until a connect has re-seeded it', async () => {
  const host = new FakeHost();
  const { state } = host;
  const ports = portsOf(host);
  await expect(startVm(ports, command(3))).rejects.toThrow(code('REFUSED'));
  await state.adopt(HOST, undefined);
  await expect(startVm(ports, command(3))).rejects.toThrow(code('REFUSED'));
  await state.adopt(HOST, [{ vmUuid: VM, epoch: 3 }]);
  expect(await startVm(ports, command(3))).toMatchObject({ state: 'Stopped' });
  expect(host.started).toEqual([]);
  expect(await startVm(ports, command(4))).toMatchObject({ state: 'Running' });
});

test('F40: a refused image lock burns the epoch and names the image', async () => {
  const { host, ports } = await seededHost();
  host.startFailure = new DomainError('IMAGE_LOCKED', 'locked', { path: '/srv/a.img' });
  await expect(startVm(ports, command(3))).rejects.toMatchObject({
    code: 'IMAGE_LOCKED',
    facts: { path: '/srv/a.img' },
  });
  host.startFailure = undefined;
  expect(await startVm(ports, command(3))).toMatchObject({ state: 'Stopped' });
  expect(host.started).toEqual([]);
});

test('a VM whose qemu lives is not started again, whatever libvirt says', async () => {
  const { host, ports } = await seededHost();
  host.run(VM, null);
  host.domains.delete(VM);
  await expect(startVm(ports, command(3))).rejects.toThrow(code('CONFLICT'));
});

test('libvirt silent: nothing is started and the epoch is not burnt', async () => {
  const { host, ports } = await seededHost();
  host.libvirtAnswers = false;
  await expect(startVm(ports, command(3))).rejects.toThrow(code('LIBVIRT_FAILED'));
  expect(await host.state.began(VM)).toBeUndefined();
});

test('F35: a qemu that does not bear the mark is recorded as this run, and the start fails', async () => {
  const { host, ports } = await seededHost();
  const state = {
    ...host.state,
    dropGrant: async (grant: Parameters<typeof host.state.dropGrant>[0]) => {
      for (const qemu of host.qemuList) qemu.epoch = null;
      await host.state.dropGrant(grant);
    },
  };
  await expect(startVm({ ...ports, state }, command(3))).rejects.toThrow(code('LIBVIRT_FAILED'));
  expect((await host.state.runs()).get(VM)?.epoch).toBe(3);
});

test('a record that can not be read stops the start', async () => {
  const { host, ports } = await seededHost();
  const broken = () => Promise.reject(new DomainError('INTERNAL', 'unreadable'));
  await expect(
    startVm({ ...ports, state: { ...host.state, barrier: broken } }, command(3)),
  ).rejects.toThrow(code('INTERNAL'));
  await expect(
    startVm({ ...ports, state: { ...host.state, recordBegan: broken } }, command(3)),
  ).rejects.toThrow(code('INTERNAL'));
  expect(host.started).toEqual([]);
});
