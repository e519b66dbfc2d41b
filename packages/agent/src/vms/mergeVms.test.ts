import { expect, test } from '@jest/globals';
import type { LibvirtDomain } from '../libvirt/libvirt.js';
import { attribute, mergeVms } from './mergeVms.js';
import type { QemuProcess } from './processes.js';

const A = '11111111-2222-4333-8444-555555555555';
const B = '21111111-2222-4333-8444-555555555555';
const qemu: QemuProcess = {
  pid: 82,
  startTime: 1_000,
  vmUuid: A,
  guestName: 'a',
  epoch: 4,
  dying: false,
};
const domain: LibvirtDomain = { vmUuid: A, name: 'a', state: 'Running' };

test('F35: arguments win over the record', () => {
  const runs = new Map([[A, { epoch: 3, pid: 82, startTime: 1_000 }]]);
  expect(attribute([qemu], runs, []).attributed[0]?.epoch).toBe(4);
});

test('F35: a qemu whose arguments are gone is known by its record, for that pid and start only', () => {
  const zombie = { ...qemu, vmUuid: undefined, guestName: undefined, epoch: null, dying: true };
  const runs = new Map([[A, { epoch: 4, pid: 82, startTime: 1_000 }]]);
  expect(attribute([zombie], runs, []).attributed).toMatchObject([{ vmUuid: A, epoch: 4 }]);
  const later = attribute([{ ...zombie, startTime: 2_000 }], runs, []);
  expect(later).toMatchObject({ attributed: [], unattributed: [{ pid: 82 }] });
});

test('a qemu without a uuid is known by the name that libvirt gave it', () => {
  const named = { ...qemu, vmUuid: undefined };
  expect(attribute([named], new Map(), [domain]).attributed).toMatchObject([{ vmUuid: A }]);
});

test.each([
  // libvirt     dying  state       why
  ['Running', false, 'Running', 'both agree'],
  ['Paused', false, 'Paused', 'libvirt knows more'],
  ['Starting', false, 'Starting', 'CPUs are not on yet'],
  ['Stopped', false, 'Running', 'libvirt gave up on a writer that lives (§9)'],
  ['Stopped', true, 'Stopping', 'a zombie leader: a thread may still write'],
  [undefined, false, 'Running', 'libvirt does not know it or does not answer'],
] as const)('F21: libvirt says %s, dying %s: %s (%s)', (said, dying, state, _why) => {
  const domains = said === undefined ? [] : [{ ...domain, state: said }];
  const { attributed } = attribute([{ ...qemu, dying }], new Map(), domains);
  expect(mergeVms(attributed, domains)).toMatchObject([
    { vmUuid: A, state, hasProcess: true, knownToLibvirt: said !== undefined, epoch: 4, pid: 82 },
  ]);
});

test.each([
  ['Running', 'Unknown', 'no qemu, so not seen running'],
  ['Paused', 'Unknown', 'the same'],
  ['Stopped', 'Stopped', 'as libvirt says'],
  ['Crashed', 'Crashed', 'as libvirt says'],
  ['Starting', 'Starting', 'before the fork'],
] as const)('a domain without a process that libvirt calls %s is %s: %s', (said, state, _why) => {
  expect(mergeVms([], [{ ...domain, state: said }])).toMatchObject([
    { state, hasProcess: false, pid: null, epoch: null },
  ]);
});

test('every qemu is listed, also a second one of the same VM', () => {
  const { attributed } = attribute([qemu, { ...qemu, pid: 90, epoch: 5 }], new Map(), [domain]);
  const list = mergeVms(attributed, [domain, { vmUuid: B, name: 'b', state: 'Stopped' }]);
  expect(list.map(({ vmUuid, pid }) => [vmUuid, pid])).toEqual([
    [A, 82],
    [A, 90],
    [B, null],
  ]);
});
