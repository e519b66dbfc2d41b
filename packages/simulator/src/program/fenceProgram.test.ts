import { expect, test } from '@jest/globals';
import { World } from '../world/world.js';
import type { SimHost } from '../world/host.js';
import { fenceProgram } from './fenceProgram.js';

const HOST = '0a000000-0000-4000-8000-000000000001';
const VM = '11111111-2222-4333-8444-555555555555';
const OTHER = '21111111-2222-4333-8444-555555555555';
const DISK = '/srv/shared/vm 1.img';
const GREETING = 'fenceline-fence 1 line=1';
const ENCODED = '/srv/shared/vm%201.img';

function suspect(): { world: World; h1: SimHost } {
  const world = new World({ seed: 1 });
  const h1 = world.addHost({ name: 'h1', address: '10.77.1.11' });
  world.storage.createDisk(DISK);
  h1.powerOn();
  h1.memory.disk.hostUuid = HOST;
  return { world, h1 };
}

async function order(
  { world, h1 }: ReturnType<typeof suspect>,
  change: { head?: string; vm?: string; tokens?: boolean } = {},
): Promise<{ said: string[]; code: number; tookMs: number }> {
  const lines = [
    'fenceline-peer 1',
    change.head ??
      `fence 00112233445566aa token=- deadline_ms=5000 vms=1 grace_ms=300 host=${HOST}`,
    change.vm ?? `vm ${VM} epoch=2 disk=file:${ENCODED}`,
  ];
  const said: string[] = [];
  const io = { next: async () => lines.shift(), say: (line: string) => void said.push(line) };
  const begunMs = world.clock.monotonicMs();
  const code = await world.clock.settle(
    fenceProgram(io, h1, { clock: world.clock, orderTokens: change.tokens === true }),
  );
  return { said, code, tookMs: world.clock.monotonicMs() - begunMs };
}

const verdict = ({ said }: { said: string[] }): string =>
  said.find((line) => line.startsWith('verdict ')) ?? '';

test('F34: the barrier is up, the run ended, the disk flushed, the last line has nonce and boot', async () => {
  const site = suspect();
  site.h1.spawnQemu({ vmUuid: VM, name: 'vm1', epoch: 2, disks: [DISK] });
  site.h1.spawnQemu({ vmUuid: OTHER, name: 'vm10', epoch: 2, disks: [] });
  await site.world.clock.advance(1_000);
  const answer = await order(site);
  expect(verdict(answer)).toBe(`verdict ${VM} dead barrier=disk`);
  expect(answer.said).toContain(`disk ${VM} ${ENCODED} drained=synced`);
  expect(answer.said.at(-1)).toContain(
    `end 00112233445566aa host=${HOST} boot=${site.h1.bootId} pidns=4026531836 uid=0 control=ok`,
  );
  expect(site.h1.memory.disk.barriers.get(VM)).toBe(2);
  expect(site.h1.processes.qemus.map(({ args }) => args.name)).toEqual(['vm10']);
});

test('F35: a newer run is told and never touched', async () => {
  const site = suspect();
  site.h1.spawnQemu({ vmUuid: VM, name: 'vm1', epoch: 3, disks: [DISK] });
  const answer = await order(site);
  expect(answer.said.some((line) => line.startsWith(`pid ${VM}`) && line.includes('epoch=3'))).toBe(
    true,
  );
  expect(site.h1.processes.qemus).toHaveLength(1);
});

test('F21: a qemu that stays in D is alive at the deadline, whatever libvirt says', async () => {
  const site = suspect();
  site.h1.spawnQemu({ vmUuid: VM, name: 'vm1', epoch: 2, disks: [DISK] });
  site.world.storage.hang('h1');
  await site.world.clock.advance(1_000);
  const answer = await order(site);
  expect(verdict(answer)).toBe(`verdict ${VM} alive barrier=disk`);
  expect(answer.tookMs).toBeLessThanOrEqual(5_000);
});

test('F21a: gone, but its disk can not be flushed: not drained', async () => {
  const site = suspect();
  site.world.storage.hang('h1');
  expect(verdict(await order(site))).toBe(`verdict ${VM} not-drained barrier=disk`);
});

test('F34: a local disk that does not answer leaves the barrier in memory', async () => {
  const site = suspect();
  site.h1.stateDiskAnswers = false;
  expect(verdict(await order(site))).toBe(`verdict ${VM} dead barrier=memory`);
  expect(site.h1.memory.run.barriers.get(VM)).toBe(2);
});

test.each([
  // order, reason
  [{ head: `fence 00112233445566aa token=- deadline_ms=5000 vms=1 host=${OTHER}` }, 'wrong-host'],
  [{ head: 'fence short token=- deadline_ms=5000 vms=1' }, 'bad-order'],
  [{ vm: 'vm not-a-uuid epoch=1' }, 'bad-vm'],
])('I3: %j is refused before anything is touched', async (change, reason) => {
  const site = suspect();
  site.h1.spawnQemu({ vmUuid: VM, name: 'vm1', epoch: 2, disks: [DISK] });
  const { said, code } = await order(site, change);
  expect(said).toEqual([GREETING, `refused ${reason}`]);
  expect(code).toBe(2);
  expect(site.h1.memory.run.barriers.size).toBe(0);
  expect(site.h1.processes.qemus).toHaveLength(1);
});

test('F29a: an order without a token that lies there is refused before it sets a barrier', async () => {
  const token = 'ab'.repeat(16);
  const head = (word: string): string =>
    `fence 00112233445566aa token=${word} deadline_ms=5000 vms=1 grace_ms=300 host=${HOST}`;
  const site = suspect();
  site.h1.memory.run.orderTokens.add(token);
  for (const word of ['-', 'cd'.repeat(16)]) {
    const refused = await order(site, { head: head(word), tokens: true });
    expect(refused).toMatchObject({ code: 2, said: [GREETING, 'refused bad-order-token'] });
    expect(site.h1.memory.run.barriers.size).toBe(0);
  }
  expect((await order(site, { head: head(token), tokens: true })).code).toBe(0);
  expect((await order(site, { head: head(token), tokens: true })).code).toBe(2);
});
