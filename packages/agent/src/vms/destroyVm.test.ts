import { expect, test } from '@jest/globals';
import { makeKeyedQueue, silentLogger } from '@fenceline/common';
import { DestroyVmCmd, FenceVmsFromPeerRsp } from '@fenceline/protocol';
import { FakeHost, HOST, VM } from '../../test/fakeHost.js';
import { destroyVm, type DestroyPorts } from './destroyVm.js';

async function fakeHost(): Promise<{ host: FakeHost; ports: DestroyPorts }> {
  const host = new FakeHost();
  await host.state.adopt(HOST, []);
  const { clock, libvirt, processes, state, localFence } = host;
  const queues = { queue: makeKeyedQueue(8), fenceQueue: makeKeyedQueue(8) };
  const ports = { clock, libvirt, processes, state, localFence, log: silentLogger, ...queues };
  return { host, ports };
}

const { signal } = new AbortController();
const command = (fields: Partial<DestroyVmCmd>): DestroyVmCmd =>
  Object.assign(new DestroyVmCmd(), { vmUuid: VM, fenceEpoch: 3 }, fields);

test('F34: the barrier is up before anything is looked at, and the verdict is the answer', async () => {
  const { host, ports } = await fakeHost();
  host.run(VM, 3);
  const localFence = {
    fence: async (request: Parameters<typeof host.localFence.fence>[0]) => {
      expect(await host.state.barrier(VM)).toBe(3);
      return host.localFence.fence(request);
    },
  };
  const rsp = await destroyVm({ ...ports, localFence }, command({}), signal);
  expect(rsp).toMatchObject({
    success: true,
    verdict: { vmUuid: VM, outcome: 'confirmedDead', qemuConfirmedDead: true },
    highestBegan: null,
    beganKnown: true,
  });
  expect(host.qemuList).toEqual([]);
});

test('a stop asks the guest first and then verifies with the fence program', async () => {
  const { host, ports } = await fakeHost();
  host.run(VM, 3);
  const stop = destroyVm(ports, command({ purpose: 'stop', gracefulMs: 10_000 }), signal);
  const rsp = await host.clock.settle(stop, 20_000);
  expect(host.trace).toEqual(['shutdown', 'fence']);
  expect(rsp.verdict?.outcome).toBe('nothingFound');
  expect(host.clock.monotonicMs()).toBeLessThan(2_000);
});

test('a guest that does not react is killed when its time is over', async () => {
  const { host, ports } = await fakeHost();
  host.guestObeys = false;
  host.run(VM, 3);
  const stop = destroyVm(ports, command({ purpose: 'stop', gracefulMs: 5_000 }), signal);
  expect((await host.clock.settle(stop, 20_000)).verdict?.outcome).toBe('confirmedDead');
  expect(host.clock.monotonicMs()).toBeGreaterThanOrEqual(5_000);
});

test('F35: a stop of an older run never shuts a newer one down', async () => {
  const { host, ports } = await fakeHost();
  host.run(VM, 4);
  const stop = destroyVm(ports, command({ purpose: 'stop', gracefulMs: 5_000 }), signal);
  await host.clock.settle(stop, 20_000);
  expect(host.trace).toEqual(['fence']);
});

test('neverBegan: what the record says is read after the barrier', async () => {
  const { host, ports } = await fakeHost();
  await host.state.recordBegan(VM, 2);
  const order: string[] = [];
  const state = {
    ...host.state,
    raiseBarrier: async (vmUuid: string, epoch: number) => {
      order.push('barrier');
      return host.state.raiseBarrier(vmUuid, epoch);
    },
    began: async (vmUuid: string) => {
      order.push('began');
      return host.state.began(vmUuid);
    },
  };
  const rsp = await destroyVm({ ...ports, state }, command({}), signal);
  expect(rsp).toMatchObject({ highestBegan: 2, beganKnown: true });
  expect(order).toEqual(['barrier', 'began']);
});

test('neverBegan: a record that is not whole, or a barrier that failed, says nothing', async () => {
  const { host, ports } = await fakeHost();
  const broken = () => Promise.reject(new Error('no'));
  for (const state of [
    { ...host.state, raiseBarrier: broken },
    { ...host.state, began: broken },
    { ...host.state, identity: async () => ({ hostUuid: HOST, seeded: false }) },
  ]) {
    const rsp = await destroyVm({ ...ports, state }, command({}), signal);
    expect(rsp).toMatchObject({ success: true, highestBegan: null, beganKnown: false });
  }
});

test('F34: a fence does not wait for a start of that VM that hangs', async () => {
  const { host, ports } = await fakeHost();
  void ports.queue.run(VM, () => new Promise(() => undefined));
  expect((await destroyVm(ports, command({}), signal)).success).toBe(true);
  expect(host.trace).toEqual(['fence']);
});

test('F34: a grant without a known end goes with its run, when that is proven dead, never before', async () => {
  const { host, ports } = await fakeHost();
  await host.state.writeGrant({ vmUuid: VM, epoch: 3, pid: 77, startTime: 770 });
  const localFence = {
    fence: async (request: Parameters<typeof host.localFence.fence>[0]) => {
      const answer = await host.localFence.fence(request);
      for (const verdict of answer.verdicts) verdict.qemuConfirmedDead = false;
      return answer;
    },
  };
  await destroyVm({ ...ports, localFence }, command({}), signal);
  await ports.queue.idle();
  expect(await host.state.grants()).toMatchObject([{ epoch: 3 }]);
  await destroyVm(ports, command({ fenceEpoch: 2 }), signal);
  await ports.queue.idle();
  expect(await host.state.grants()).toMatchObject([{ epoch: 3 }]);
  await destroyVm(ports, command({}), signal);
  await ports.queue.idle();
  expect(await host.state.grants()).toEqual([]);
});

test('a program without a verdict for the VM is no success', async () => {
  const { ports } = await fakeHost();
  const localFence = {
    fence: async () => Object.assign(new FenceVmsFromPeerRsp(), { success: true }),
  };
  const rsp = await destroyVm({ ...ports, localFence }, command({}), signal);
  expect(rsp).toMatchObject({ success: false, error: { code: 'INTERNAL' } });
});

test('a stop that is given up kills nothing', async () => {
  const { host, ports } = await fakeHost();
  host.guestObeys = false;
  host.run(VM, 3);
  const gone = new AbortController();
  const stop = destroyVm(ports, command({ purpose: 'stop', gracefulMs: 5_000 }), gone.signal);
  host.clock.after(1_000, () => gone.abort(new Error('the caller is gone')));
  await expect(host.clock.settle(stop, 20_000)).rejects.toMatchObject({ code: 'STOPPING' });
  expect(host.qemuList).toHaveLength(1);
});
