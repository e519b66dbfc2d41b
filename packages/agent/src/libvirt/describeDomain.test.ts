import { expect, test } from '@jest/globals';
import { describeDomain } from './describeDomain.js';

const domain = (inner: string, memory = '<memory unit="KiB">16384</memory>'): string =>
  `<domain type="kvm"><name>web1</name>${memory}<vcpu placement="static">2</vcpu>${inner}</domain>`;
const disks = (inner: string): string => domain(`<devices>${inner}</devices>`);

test('name, memory, cpus and every disk that qemu writes to', () => {
  const xml = domain(
    `<os><nvram template="/usr/x">/var/lib/nvram/web1.fd</nvram></os><devices>
      <disk type="file" device="disk"><source file="/srv/a.img"/></disk>
      <disk type="block"><source dev="/dev/vg/b"/></disk>
      <disk type="network" device="disk"><source protocol="rbd" name="pool/c"><host name="m"/></source></disk>
      <disk type="network" device="disk"><source protocol="nbd" name="d"/></disk>
      <disk type="file" device="cdrom"><source file="/srv/e.iso"/></disk>
      <disk type="file" device="disk"><source file="/srv/f.img"/><readonly/></disk>
      <disk type="file" device="floppy"/>
    </devices>`,
  );
  expect(describeDomain(xml)).toEqual({
    name: 'web1',
    memoryMiB: 16,
    cpus: 2,
    disks: [
      { kind: 'file', source: '/srv/a.img' },
      { kind: 'block', source: '/dev/vg/b' },
      { kind: 'rbd', source: 'pool/c' },
      { kind: 'network', source: 'nbd:d' },
      { kind: 'file', source: '/var/lib/nvram/web1.fd' },
    ],
  });
});

test.each([
  ['<memory>1048576</memory>', 1_024, 'KiB if nothing is said'],
  ['<memory unit="GiB">2</memory>', 2_048, 'binary'],
  ['<memory unit="MB">1</memory>', 1, 'decimal, rounded up'],
] as const)('%s is %i MiB: %s', (memory, expected, _why) => {
  expect(describeDomain(domain('', memory)).memoryMiB).toBe(expected);
});

test.each([
  ['<disk type="volume"><source pool="p" volume="v"/></disk>', 'its path is not known here'],
  ['<disk type="nvme"><source/></disk>', 'no file that can be checked'],
  ['<disk type="file"><source/></disk>', 'no path'],
] as const)(
  'F21a: a writable disk that no fence could prove drained is refused: %s (%s)',
  (disk, _why) => {
    expect(() => describeDomain(disks(disk))).toThrow(expect.objectContaining({ code: 'REFUSED' }));
  },
);

test.each([
  ['<memory unit="Kelvin">1</memory>', 'unit'],
  ['<memory>-1</memory>', 'number'],
  ['', 'missing'],
] as const)('memory %s is refused: %s', (memory, _why) => {
  expect(() => describeDomain(domain('', memory))).toThrow(
    expect.objectContaining({ code: 'BAD_INPUT' }),
  );
});
