import { expect, test } from '@jest/globals';
import { cgroupLayout, NodeGroup } from './cgroups.js';
import { whyNoFault } from './faultNeeds.js';

const v1 = `cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup /sys/fs/cgroup/freezer cgroup rw,relatime,freezer 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0`;
const unified = 'cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0';

test('version 1, version 2 and both at once are told apart', () => {
  expect(cgroupLayout(v1)).toEqual({
    v1: {
      cpu: '/sys/fs/cgroup/cpu',
      freezer: '/sys/fs/cgroup/freezer',
      pids: '/sys/fs/cgroup/pids',
    },
  });
  expect(cgroupLayout('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0')).toEqual({
    unified: '/sys/fs/cgroup',
    v1: {},
  });
  expect(cgroupLayout(`${v1}\n${unified}`).unified).toBe('/sys/fs/cgroup/unified');
});

test('a controller that is mounted together with another one is found', () => {
  const layout = cgroupLayout('cgroup /cg/both cgroup rw,cpu,cpuacct 0 0');
  expect(layout.v1).toEqual({ cpu: '/cg/both' });
});

test('a node joins the freezer of version 1 only where there is no version 2', () => {
  const both = new NodeGroup(cgroupLayout(`${v1}\n${unified}`), 'lab', 'h1').folders;
  expect(both).toContain('/sys/fs/cgroup/unified/lab/h1');
  expect(both).not.toContain('/sys/fs/cgroup/freezer/lab/h1');
  const old = new NodeGroup(cgroupLayout(v1), 'lab', 'h1').folders;
  expect(old).toContain('/sys/fs/cgroup/freezer/lab/h1');
});

test('a host can be out of memory only where version 1 counts memory; other faults need nothing', () => {
  const memory = 'cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0';
  const has = (mounts: string, fault: string): boolean =>
    whyNoFault(fault, cgroupLayout(mounts)) === undefined;
  expect(has(`${v1}\n${memory}\n${unified}`, 'memory-full')).toBe(true);
  expect(has(`${v1}\n${unified}`, 'memory-full')).toBe(false);
  expect(has('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0', 'memory-full')).toBe(false);
  expect(has('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0', 'storage slow 5')).toBe(true);
});
