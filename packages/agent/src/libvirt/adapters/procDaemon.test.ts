import { afterEach, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { procDaemon } from './procDaemon.js';

let dir = '';
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const ROOT = 'Uid:\t0\t0\t0\t0';
const USER = 'Uid:\t1000\t1000\t1000\t1000';
const OURS = 'NSpid:\t7';
const EXECUTED = 4_194_560;
const FORKED = EXECUTED | 0x40;

interface Process {
  status: string;
  comm: string;
  flags: number;
  exe: string;
}
const own: Process = {
  ...{ status: `${ROOT}\n${OURS}\n`, comm: 'libvirtd', flags: EXECUTED },
  exe: '/usr/sbin/libvirtd',
};

/** A process table with the host's daemon as number 7 and another process as 8. */
function tableWith(other: Partial<Process>, daemon: Partial<Process> = {}) {
  dir = mkdtempSync(join(tmpdir(), 'fenceline-proc-'));
  writeFileSync(join(dir, 'uptime'), '100.00 100.00\n');
  writeFileSync(join(dir, 'libvirtd.pid'), '7\n');
  for (const [pid, change] of [
    ['7', daemon],
    ['8', other],
  ] as const) {
    const { status, comm, flags, exe } = { ...own, ...change };
    mkdirSync(join(dir, pid));
    symlinkSync(exe, join(dir, pid, 'exe'));
    writeFileSync(join(dir, pid, 'status'), `Name:\t${comm}\n${status}`);
    const stat = `${pid} (${comm}) S 1 7 7 0 -1 ${flags} 1 2 3 4 5 6 7 8 20 0 1 0 500 1 2`;
    writeFileSync(join(dir, pid, 'stat'), stat);
  }
  return procDaemon([join(dir, 'none.pid'), join(dir, 'libvirtd.pid')], dir);
}

test.each<[string, Partial<Process>, number]>([
  ['a qemu that is about to be', { comm: 'rpc-libvirtd', flags: FORKED }, 1],
  [
    'the same, when it has given up root',
    { status: `${USER}\n${OURS}\n`, comm: 'rpc-libvirtd', flags: FORKED },
    1,
  ],
  ['a second daemon of root', {}, 1],
  ['one of which nobody can tell whose it is', { status: '' }, 1],
  ["a user's session daemon", { status: `${USER}\n${OURS}\n` }, 0],
  ['the same in the background', { status: `${USER}\n${OURS}\n`, flags: FORKED }, 0],
  ["a container's daemon", { status: `${ROOT}\nNSpid:\t8\t1\n` }, 0],
  ['another program', { exe: '/usr/bin/sleep' }, 0],
])("F34: what may become a qemu of the host's: %s", async (_who, other, count) => {
  const daemons = tableWith(other);
  const daemon = await daemons.find();
  expect(daemon).toEqual({ pid: 7, startTime: 500, ageMs: 95_000 });
  expect(daemon && (await daemons.lookAlikes(daemon))).toBe(count);
});

test.each<[string, Partial<Process>]>([
  ["a user's session daemon", { status: `${USER}\n${OURS}\n` }],
  ['a container', { status: `${ROOT}\nNSpid:\t7\t1\n` }],
  ['a child that is no qemu yet', { comm: 'rpc-libvirtd', flags: FORKED }],
  ['another program', { exe: '/usr/bin/sleep' }],
])('I3: an old pid file that names %s names no daemon', async (_who, daemon) => {
  expect(await tableWith({}, daemon).find()).toBeUndefined();
});
