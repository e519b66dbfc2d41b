import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { procProcesses } from './procProcesses.js';

const VM = '11111111-2222-4333-8444-555555555555';
let proc = '';
beforeEach(async () => (proc = await mkdtemp(join(tmpdir(), 'fenceline-proc-'))));
afterEach(() => rm(proc, { recursive: true, force: true }));

interface Sample {
  comm?: string;
  state?: string;
  threads?: number;
  args?: string[];
  exe?: string;
  tasks?: Record<number, string[]>;
}

const qemuArgs = ['qemu-system-x86_64', '-name', 'guest=web1', '-uuid', VM];
const mark = ['-fw_cfg', 'name=opt/org.fenceline/run,string=7'];

async function process_(pid: number, sample: Sample): Promise<void> {
  const { comm = 'qemu-system-x86', state = 'S', threads = 3, args = [] } = sample;
  const dir = join(proc, String(pid));
  await mkdir(dir, { recursive: true });
  const stat = `${pid} (${comm}) ${state} 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 ${threads} 0 ${pid * 10} 0`;
  await writeFile(join(dir, 'stat'), stat);
  await writeFile(join(dir, 'cmdline'), args.map((arg) => `${arg}\0`).join(''));
  if (sample.exe !== undefined) await symlink(sample.exe, join(dir, 'exe'));
  for (const [task, line] of Object.entries(sample.tasks ?? {})) {
    await mkdir(join(dir, 'task', task), { recursive: true });
    await writeFile(join(dir, 'task', task, 'cmdline'), line.map((arg) => `${arg}\0`).join(''));
  }
}

test('F35: a qemu with its VM, name and epoch; others are left out', async () => {
  await process_(82, { args: [...qemuArgs, ...mark], exe: '/usr/bin/qemu-system-x86_64' });
  await process_(83, { comm: 'tail', args: ['tail', '-f', `/var/log/${VM}.log`] });
  await process_(84, { comm: 'kworker/0:1', threads: 1 });
  expect(await procProcesses(proc).qemus()).toEqual([
    { pid: 82, startTime: 820, vmUuid: VM, guestName: 'web1', epoch: 7, dying: false },
  ]);
});

test('F21: a zombie leader with a living thread is a qemu, known by that thread', async () => {
  await process_(82, { state: 'Z', threads: 2, tasks: { 82: [], 85: [...qemuArgs, ...mark] } });
  await process_(90, { state: 'Z', threads: 2, tasks: { 90: [], 91: [] } });
  await process_(95, { state: 'Z', threads: 1 });
  expect(await procProcesses(proc).qemus()).toMatchObject([
    { pid: 82, vmUuid: VM, epoch: 7, dying: true },
    { pid: 90, vmUuid: undefined, epoch: null, dying: true },
  ]);
});

test('start times name processes; the dead have none', async () => {
  await process_(82, { args: ['virsh'] });
  await process_(83, { state: 'Z', threads: 1 });
  const processes = procProcesses(proc);
  expect(await processes.startTimeOf(82)).toBe(820);
  expect(await processes.startTimeOf(83)).toBeUndefined();
  expect(await processes.startTimeOf(84)).toBeUndefined();
});

test('F21: a look that could not see is an error, not an empty list', async () => {
  await mkdir(join(proc, '82', 'stat'), { recursive: true });
  await expect(procProcesses(proc).qemus()).rejects.toThrow("can't look");
  await expect(procProcesses(join(proc, 'none')).qemus()).rejects.toThrow();
});

test('the real process table shows this process', async () => {
  const processes = procProcesses();
  expect(await processes.startTimeOf(process.pid)).toBeGreaterThan(0);
  await expect(processes.qemus()).resolves.toBeInstanceOf(Array);
});
