import { expect, test } from '@jest/globals';
import { checkDisk } from '../checker/checkDisk.js';
import type { SimHost } from './host.js';
import { World } from './world.js';

const DISK = '/srv/shared/vm1.img';

function worldWithHosts(): { world: World; h1: SimHost; h2: SimHost } {
  const world = new World({ seed: 1 });
  const [h1, h2] = ['h1', 'h2'].map((name, i) =>
    world.addHost({ name, address: `10.77.1.1${i + 1}` }),
  ) as [SimHost, SimHost];
  world.storage.createDisk(DISK);
  h1.powerOn();
  h2.powerOn();
  return { world, h1, h2 };
}

const vm1 = { vmUuid: 'vm1', name: 'vm1', epoch: 1, disks: [DISK] };
const check = (world: World) => checkDisk(world.storage.history(DISK));

test('a guest stamps its disk until it is killed; a killed one is gone at once', async () => {
  const { world, h1 } = worldWithHosts();
  const qemu = h1.spawnQemu(vm1);
  await world.clock.advance(2_000);
  expect(world.storage.history(DISK).writes.length).toBeGreaterThan(5);
  qemu.kill();
  await world.clock.advance(10);
  expect(h1.processes.qemus).toEqual([]);
  const before = world.storage.history(DISK).writes.length;
  await world.clock.advance(2_000);
  expect(world.storage.history(DISK).writes).toHaveLength(before);
});

test('F21: killed with a write that hangs it stays, dying, and its late write lands on return', async () => {
  const { world, h1 } = worldWithHosts();
  const qemu = h1.spawnQemu(vm1);
  await world.clock.advance(1_000);
  world.storage.hang('h1');
  await world.clock.advance(1_000);
  qemu.kill();
  await world.clock.advance(60_000);
  expect(h1.processes.qemus).toMatchObject([{ isDying: true, isGone: false }]);
  const before = world.storage.history(DISK).writes.length;
  world.storage.resume('h1');
  await world.clock.advance(100);
  expect(world.storage.history(DISK).writes).toHaveLength(before + 1);
  expect(h1.processes.qemus).toEqual([]);
});

test('I1: a start beside a qemu in D is two writers, and its late write is named', async () => {
  const { world, h1, h2 } = worldWithHosts();
  const qemu = h1.spawnQemu(vm1);
  await world.clock.advance(1_000);
  world.storage.hang('h1');
  await world.clock.advance(1_000);
  qemu.kill();
  h2.spawnQemu({ ...vm1, epoch: 2 });
  await world.clock.advance(1_000);
  world.storage.resume('h1');
  await world.clock.advance(1_000);
  const word = check(world);
  expect(word).toMatchObject({ verdict: 'twoWriters', liveWriters: 2 });
  expect(word.reasons.join()).toContain('a late write');
});

test('a power cut ends everything at once, and what the storage has not seen is lost', async () => {
  const { world, h1, h2 } = worldWithHosts();
  h1.spawnQemu(vm1);
  await world.clock.advance(1_000);
  world.storage.hang('h1');
  await world.clock.advance(1_000);
  h1.powerOff();
  h2.spawnQemu({ ...vm1, epoch: 2 });
  world.storage.resume('h1');
  await world.clock.advance(1_000);
  expect(check(world)).toMatchObject({ verdict: 'oneWriter', lives: 2 });
});

test('a thawed guest writes at once, before anything on its host can react', async () => {
  const { world, h1 } = worldWithHosts();
  h1.spawnQemu(vm1);
  await world.clock.advance(1_000);
  h1.freeze();
  const { writes } = world.storage.history(DISK);
  await world.clock.advance(50);
  const before = writes.length;
  await world.clock.advance(60_000);
  expect(writes).toHaveLength(before);
  const thawedMs = world.clock.monotonicMs();
  h1.thaw();
  await world.clock.advance(5);
  expect(writes.at(-1)?.issuedAtMs).toBe(thawedMs);
});

test('each boot has its own id, its own processes and an empty /run; the disk stays', () => {
  const { h1 } = worldWithHosts();
  const first = h1.bootId;
  h1.memory.run.barriers.set('vm1', 3);
  h1.memory.disk.barriers.set('vm1', 3);
  h1.powerOff();
  h1.powerOn();
  expect(h1.bootId).not.toBe(first);
  expect(h1.memory.run.barriers.size).toBe(0);
  expect(h1.memory.disk.barriers.get('vm1')).toBe(3);
});
