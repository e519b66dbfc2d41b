import { expect, test } from '@jest/globals';
import { libvirtFailure, parseDomains, parseEvent, parseVersions, vmState } from './parse.js';

const A = '6695eb01-f6a4-8304-79aa-97f2502e193f';
const B = '808bad35-d385-441c-ad5b-0e243c9962a8';

test('list and states of one virsh call become domains; names may hold spaces and quotes', () => {
  const text = [
    `${A} test`,
    `${B} it's 'x y'`,
    '',
    "Domain: 'it's 'x y''",
    '  state.state=5',
    '  state.reason=3',
    '',
    "Domain: 'test'",
    '  state.state=1',
    '  state.reason=0',
    '',
  ].join('\n');
  expect(parseDomains(text)).toEqual([
    { vmUuid: A, name: 'test', state: 'Running' },
    { vmUuid: B, name: "it's 'x y'", state: 'Crashed' },
  ]);
});

test('a domain that went between the two lists is left out', () => {
  expect(parseDomains(`${A} test\n\n`)).toEqual([]);
});

test.each([
  // state reason expected      why
  [0, 0, 'Unknown', 'no state'],
  [1, 1, 'Running', 'booted'],
  [3, 1, 'Paused', 'by a person'],
  [3, 2, 'Migrating', 'paused for the last step of a migration'],
  [3, 11, 'Starting', 'paused (starting up)'],
  [4, 1, 'Stopping', 'the guest shuts down'],
  [5, 1, 'Stopped', 'shut down'],
  [5, 3, 'Crashed', 'qemu died'],
  [5, 6, 'Stopped', 'failed to start'],
  [6, 1, 'Crashed', 'the guest crashed'],
  [7, 0, 'Paused', 'suspended by power management'],
  [99, 0, 'Unknown', 'a newer libvirt'],
] as const)('state %i reason %i is %s: %s', (state, reason, expected, _why) => {
  expect(vmState(state, reason)).toBe(expected);
});

test.each([
  [
    "event 'lifecycle' for domain 'vm1': Started Booted",
    { domainName: 'vm1', what: 'Started Booted' },
  ],
  [
    "event 'lifecycle' for domain 'a': b': Stopped Crashed",
    { domainName: "a': b", what: 'Stopped Crashed' },
  ],
  [
    "event 'io-error' for domain 'vm1': /a (virtio-disk0) pause",
    { domainName: 'vm1', what: 'io-error' },
  ],
  ["event 'rtc-change' for domain 'vm1': 0", undefined],
  ['qemu:///system', undefined],
] as const)('event line %s', (line, expected) => {
  expect(parseEvent(line)).toEqual(expected);
});

test('F40: a refused image lock has its own code, with the path', () => {
  const error = libvirtFailure(
    'start',
    `error: Failed to create domain from /run/x.xml
error: internal error: process exited while connecting to monitor: 2024 qemu-system-x86_64: -device {"driver":"virtio-blk-pci"}: Failed to get "write" lock
Is another process using the image [/srv/lab/vm1.img]?`,
  );
  expect(error.code).toBe('IMAGE_LOCKED');
  expect(error.facts).toEqual({ path: '/srv/lab/vm1.img' });
});

test('other failures carry what libvirt said, on one line', () => {
  const error = libvirtFailure('start', 'error: Failed to create\nerror: no memory\n');
  expect(error.code).toBe('LIBVIRT_FAILED');
  expect(error.message).toBe('start: Failed to create; no memory');
  expect(libvirtFailure('x', "error: failed to get domain 'y'").code).toBe('NOT_FOUND');
});

test('versions', () => {
  const text = `Compiled against library: libvirt 9.0.0
Using library: libvirt 9.0.0
Using API: QEMU 9.0.0
Running hypervisor: QEMU 7.2.19
`;
  expect(parseVersions(text)).toEqual({ libvirt: '9.0.0', qemu: '7.2.19' });
});
