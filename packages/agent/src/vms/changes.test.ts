import { expect, test } from '@jest/globals';
import { VmSeen } from '@fenceline/protocol';
import { changesBetween } from './changes.js';

const vm = Object.assign(new VmSeen(), {
  vmUuid: '11111111-2222-4333-8444-555555555555',
  name: 'a',
  state: 'Running',
  epoch: 4,
  pid: 82,
  startTime: 1,
  knownToLibvirt: true,
  hasProcess: true,
} as const);
const like = (changes: Partial<VmSeen>): VmSeen => Object.assign(new VmSeen(), vm, changes);
const stopped = like({
  state: 'Stopped',
  epoch: null,
  pid: null,
  startTime: null,
  hasProcess: false,
});
const look = (vms: VmSeen[], libvirtAnswered = true) => ({ vms, libvirtAnswered, unattributed: 0 });
const none = new Set<string>();

test('nothing new: nothing is told', () => {
  expect(changesBetween([vm], look([like({})]), none).changed).toEqual([]);
});

test('another pid is a change, also if the state is the same', () => {
  const next = like({ pid: 90 });
  expect(changesBetween([vm], look([next]), none)).toEqual({ now: [next], changed: [next] });
});

test('a VM that is gone is told once, as stopped', () => {
  const { now, changed } = changesBetween([vm], look([]), none);
  expect(now).toEqual([]);
  expect(changed).toMatchObject([{ state: 'Stopped', hasProcess: false, knownToLibvirt: false }]);
});

test('a transient domain that crashed is told as crashed', () => {
  expect(changesBetween([vm], look([]), new Set(['a'])).changed).toMatchObject([
    { state: 'Crashed' },
  ]);
});

test('while libvirt is silent, domains without a process are kept as known', () => {
  expect(changesBetween([stopped], look([], false), none)).toEqual({ now: [stopped], changed: [] });
  expect(changesBetween([vm], look([], false), none).changed).toMatchObject([{ state: 'Stopped' }]);
});

test('a second qemu of a VM that ends is told by the one that stays', () => {
  const second = like({ pid: 90 });
  expect(changesBetween([vm, second], look([vm]), none).changed).toEqual([vm]);
});
