import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { HostHandle } from '@fenceline/lab';
import { eventually } from '../agent/agentLab.js';
import { endTools, READERS, startTool, WRITERS } from './besideTheVm.js';
import {
  arrived,
  letAllArrive,
  makeCachedVm,
  removeCachedVm,
  seenByHost,
  whileFrozen,
} from './cachedDisk.js';
import { FAILED_LOOKS, serveFailedLooks } from './failedLooks.js';
import { FenceSite, labDir, outcomeOf, tripleOf, type SiteVm } from './fenceSite.js';

jest.setTimeout(90_000);

// Suspects on which other things run, and suspects that are sick: right or no verdict, never a wrong one.

let site: FenceSite;
let vm: SiteVm;
let h1: HostHandle;

beforeAll(async () => {
  site = await FenceSite.up(labDir(tmpdir(), 'sick'));
  vm = await site.newVm('web1');
  h1 = site.suspect.host;
});
afterAll(() => site.agents.lab.purge());

let epoch = 0;
/** A new run on the suspect; resolves with its pid there. */
async function start(): Promise<number> {
  epoch += 1;
  return site.start(vm, epoch);
}
const fence = (over: object = {}) => site.fence(vm, { fenceEpoch: epoch, ...over });
const isThere = async (pid: number): Promise<boolean> =>
  (await h1.exec(['test', '-e', `/proc/${pid}`])).code === 0;

test('F20: who only speaks of the VM survives: a tail, an editor, a pkill of its own, prefix neighbours', async () => {
  const pid = await start();
  const near = await site.newVm('web1-x');
  await h1.mustExec(['virsh', 'start', near.vmUuid]);
  const u = vm.vmUuid;
  const bystanders = `
    mkdir -p /var/log/libvirt/qemu; : >/var/log/libvirt/qemu/${u}.log
    setsid tail -f /var/log/libvirt/qemu/${u}.log >/dev/null 2>&1 & echo $!
    setsid sh -c 'while :; do sleep 1; done' /usr/bin/vi /etc/libvirt/qemu/${u}.xml qemu-system-x86_64 -uuid ${u} >/dev/null 2>&1 & echo $!
    setsid sh -c "sleep 300; pkill -9 -f 'qemu.*${u}'; echo never" >/dev/null 2>&1 & echo $!
    setsid sh -c 'sleep 300; true' qemu-system-x86_64 -name guest=web1 -uuid ${u}0 >/dev/null 2>&1 & echo $!`;
  const pids = (await h1.mustExec(['bash', '-c', bystanders])).trim().split('\n').map(Number);
  expect(pids).toHaveLength(4);
  const { body } = await fence();
  expect(body).toMatchObject({ outcome: 'confirmedDead', killed: [{ pid, epoch }] });
  expect(await Promise.all(pids.map(isThere))).toEqual([true, true, true, true]);
  expect(await h1.mustExec(['virsh', 'domstate', near.vmUuid])).toContain('running');
  await h1.mustExec(['sh', '-c', `kill ${pids.join(' ')}; virsh destroy ${near.vmUuid}`]);
});

test('F20a: qemu-img, qemu-nbd or dd that writes to the disk beside the VM: otherWriter until it has ended', async () => {
  for (const tool of WRITERS) {
    const pid = await start();
    const writer = await startTool(h1, tool, vm.disk);
    const fenced = await fence();
    expect([tool.name, tripleOf(fenced), fenced.body]).toMatchObject([
      ...[tool.name, 'none'],
      { outcome: 'otherWriter', otherWriters: [{ pid: writer, comm: tool.comm, source: vm.disk }] },
    ]);
    // The VM is dead, the tool is not: it is named, and somebody else's to end.
    expect(await Promise.all([pid, writer].map(isThere))).toEqual([false, true]);
    await endTools(h1);
    const after = await fence();
    expect([tool.name, tripleOf(after), after.body.otherWriters]).toEqual([tool.name, 'dead', []]);
  }
});

test('F20a: who reads the disk beside the VM is no writer', async () => {
  const pid = await start();
  const readers: number[] = [];
  for (const tool of READERS) readers.push(await startTool(h1, tool, vm.disk));
  const { body } = await fence();
  expect(body).toMatchObject({ outcome: 'confirmedDead', killed: [{ pid }], otherWriters: [] });
  expect(await Promise.all(readers.map(isThere))).toEqual([true, true, true]);
  await endTools(h1);
});

test('F21a: what a dead VM left in memory has arrived before it is called dead, and nothing comes later', async () => {
  const cached = await makeCachedVm(site, 'late');
  const order = { fenceEpoch: 1, sshTimeoutSec: 3 };
  // A qemu that can run flushes when it is told to end, and hangs itself where its storage is frozen.
  const stopAfterAWrite = async (pid: number): Promise<void> => {
    const before = await arrived(cached);
    await eventually('it has written', async () => (await seenByHost(cached)) !== before);
    await h1.mustExec(['kill', '-STOP', String(pid)]);
    expect(await arrived(cached)).not.toBe(await seenByHost(cached));
  };
  await stopAfterAWrite(await site.start(cached, 1));
  const { body } = await site.fence(cached, order);
  const atTheAnswer = await arrived(cached);
  expect(body).toMatchObject({ outcome: 'confirmedDead', disks: [{ drained: 'synced' }] });
  await letAllArrive(cached);
  expect(await arrived(cached)).toBe(atTheAnswer);
  expect(await seenByHost(cached)).toBe(atTheAnswer);

  // A storage that takes nothing: the process dies, what it wrote is still on its way.
  const pid = await site.start(cached, 2);
  await stopAfterAWrite(pid);
  const stuck = await whileFrozen(cached, async () => {
    const fenced = await site.fence(cached, { ...order, fenceEpoch: 2 });
    return { fenced, arrived: await arrived(cached), isThere: await isThere(pid) };
  });
  expect([tripleOf(stuck.fenced), stuck.isThere, stuck.fenced.body]).toMatchObject([
    ...['none', false],
    { outcome: 'notDrained', killed: [{ pid }], disks: [{ drained: 'no' }] },
  ]);
  const later = await site.fence(cached, { ...order, fenceEpoch: 2 });
  expect(later.body).toMatchObject({ qemuConfirmedDead: true, disks: [{ drained: 'synced' }] });
  const last = await arrived(cached);
  expect(last).not.toBe(stuck.arrived);
  await letAllArrive(cached);
  expect(await arrived(cached)).toBe(last);
  await removeCachedVm(cached);
});

test('F21: a look that failed for lack of memory is no look: never dead while a qemu may live', async () => {
  const vms = await Promise.all(FAILED_LOOKS.map((_, i) => site.newVm(`look${i}`)));
  const pids: number[] = [];
  for (const one of vms) pids.push(await site.start(one, 1));
  const ports = await serveFailedLooks(h1, pids);
  const answers = await site.fenceAll(
    vms.map((one, i) =>
      site.order(one, { fenceEpoch: 1, sshTimeoutSec: 3, targetHostSshPort: ports[i] ?? 0 }),
    ),
  );
  const alive = await Promise.all(pids.map(isThere));
  const seen = answers.map((answer, i) => ({
    ...{ name: FAILED_LOOKS[i]?.name, outcome: outcomeOf(answer), triple: tripleOf(answer) },
    qemu: alive[i] === true ? 'lives' : 'killed',
  }));
  expect(seen).toEqual(
    FAILED_LOOKS.map(({ name, outcome, qemu }) => ({ name, outcome, triple: 'none', qemu })),
  );
  const again = await site.fenceAll(vms.map((one) => site.order(one, { fenceEpoch: 1 })));
  expect(again.map(tripleOf)).toEqual(vms.map(() => 'dead'));
});

test('F21: a domain that somebody starts again and again is never called dead while a qemu of it lives', async () => {
  await start();
  const again = `while :; do virsh start ${vm.vmUuid} >/dev/null 2>&1; sleep 0.05; done`;
  await h1.startService('again', { command: ['bash', '-c', again] });
  const fenced = await fence({ sshTimeoutSec: 4 });
  const killed = (fenced.body.killed ?? []).map(({ pid }) => pid);
  const alive = await Promise.all(killed.map(isThere));
  await h1.stopService('again');
  // What is started after the answer is the hook's to refuse; what was there before it was ended.
  expect(killed.length).toBeGreaterThan(0);
  expect(tripleOf(fenced)).not.toBe('unreachable');
  if (tripleOf(fenced) === 'dead') expect(alive).not.toContain(true);
  await h1.mustExec(['sh', '-c', `virsh destroy ${vm.vmUuid} || true`]);
  expect((await fence()).body.qemuConfirmedDead).toBe(true);
});

test('F26: a host that can not fork: never unreachable, and dead only if it is', async () => {
  const pid = await start();
  await h1.fault('pids 0');
  try {
    const fenced = await fence({ sshTimeoutSec: 4, connectTimeoutMs: 1_500 });
    expect([tripleOf(fenced) === 'unreachable', fenced.ms < 6_000]).toEqual([false, true]);
    // A process that ended meanwhile may have left room for a login; then it must be the truth.
    if (tripleOf(fenced) === 'dead') expect(await isThere(pid)).toBe(false);
  } finally {
    await h1.fault('pids-ok');
  }
  expect((await fence()).body.qemuConfirmedDead).toBe(true);
});

test('F25: with a hundredth of a core the limit holds, and "dead" is true if it is said', async () => {
  const pid = await start();
  await h1.fault('slow 1');
  try {
    const fenced = await fence({ sshTimeoutSec: 4 });
    expect([fenced.ms < 6_000, tripleOf(fenced) === 'unreachable']).toEqual([true, false]);
    if (tripleOf(fenced) === 'dead') expect(await isThere(pid)).toBe(false);
  } finally {
    await h1.fault('fast');
  }
  expect((await fence()).body.qemuConfirmedDead).toBe(true);
});

test('F26, F34: the host’s own disk hangs: the barrier holds in memory, and the answer says so', async () => {
  const pid = await start();
  const state = '/var/lib/fenceline/agent';
  const mount = `
    truncate -s 32M /run/state.ext4 && mkfs.ext4 -q /run/state.ext4 && mkdir /run/state &&
    mount -o loop /run/state.ext4 /run/state && cp -a ${state}/. /run/state/ &&
    mount --bind /run/state ${state} && fsfreeze -f /run/state`;
  await h1.mustExec(['sh', '-c', mount]);
  try {
    const { body } = await fence({ sshTimeoutSec: 6 });
    expect(body).toMatchObject({ outcome: 'confirmedDead', barrier: 'memory' });
    expect(await isThere(pid)).toBe(false);
  } finally {
    await h1.mustExec(['fsfreeze', '-u', '/run/state']);
    await eventually('nobody writes there any more', async () => {
      return (await h1.exec(['sh', '-c', `umount ${state} && umount /run/state`])).code === 0;
    });
  }
});
