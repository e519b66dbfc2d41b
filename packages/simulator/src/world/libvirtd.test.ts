import { expect, test } from '@jest/globals';
import { domainText } from './domainText.js';
import type { SimHost } from './host.js';
import type { Libvirtd } from './libvirtd.js';
import { World } from './world.js';

const DISK = '/srv/shared/vm1.img';
const UUID = '11111111-2222-4333-8444-555555555555';
const xml = domainText({ uuid: UUID, name: 'vm1', disks: [DISK] });

function host(options: { clusterLocks?: boolean } = {}): { world: World; h1: SimHost } {
  const world = new World({ seed: 1, ...options });
  const h1 = world.addHost({ name: 'h1', address: '10.77.1.11' });
  world.storage.createDisk(DISK);
  h1.powerOn();
  return { world, h1 };
}

function libvirtdOf({ libvirtd }: SimHost): Libvirtd {
  if (libvirtd === undefined) throw new Error('no libvirtd');
  return libvirtd;
}

test('F34: a question about a domain waits for the start that holds its lock', async () => {
  const { world, h1 } = host();
  const starting = libvirtdOf(h1).create(xml);
  await world.clock.advance(30);
  const report = await world.clock.settle(libvirtdOf(h1).domain(UUID));
  expect(report.word).toBe('running');
  await starting;
});

test('F34: a start in a daemon that is killed never happens', async () => {
  const { world, h1 } = host();
  const starting = libvirtdOf(h1).create(xml);
  await world.clock.advance(100);
  h1.killLibvirtd();
  await expect(world.clock.settle(starting)).rejects.toThrow('ended');
  await world.clock.advance(10_000);
  expect(h1.processes.qemus).toEqual([]);
  expect(h1.libvirtd).toBeDefined();
});

test('F21: destroy of a qemu in D blocks 80 s and then says "destroyed" beside it', async () => {
  const { world, h1 } = host();
  await world.clock.settle(libvirtdOf(h1).create(xml));
  world.storage.hang('h1');
  await world.clock.advance(1_000);
  const begunMs = world.clock.monotonicMs();
  await world.clock.settle(libvirtdOf(h1).destroy(UUID));
  expect(world.clock.monotonicMs() - begunMs).toBeGreaterThan(79_000);
  const [report] = await world.clock.settle(libvirtdOf(h1).domains());
  expect(report?.word).toBe('shut off');
  expect(h1.processes.qemus).toHaveLength(1);
});

test('F40: with locks for all hosts a second qemu is refused', async () => {
  const { world, h1 } = host({ clusterLocks: true });
  h1.spawnQemu({ vmUuid: 'other', name: 'other', epoch: 1, disks: [DISK] });
  await expect(world.clock.settle(libvirtdOf(h1).create(xml))).rejects.toMatchObject({
    failure: { kind: 'imageLocked', path: DISK },
  });
});
