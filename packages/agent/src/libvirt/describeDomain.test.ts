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

const os = (inner: string, attributes = ''): string =>
  domain(`<os${attributes}><type>hvm</type>${inner}</os>`);

test.each([
  ['<nvram>/srv/w.fd</nvram>', 'file', '/srv/w.fd', 'a path alone'],
  ['<nvram type="file"><source file="/srv/w.fd"/></nvram>', 'file', '/srv/w.fd', 'libvirt 8.5'],
  ['<nvram type="block"><source dev="/dev/w"/></nvram>', 'block', '/dev/w', 'a device'],
  [
    '<nvram type="network" format="raw"><source protocol="rbd" name="pool/w"/></nvram>',
    ...(['rbd', 'pool/w', 'a network disk'] as const),
  ],
  [
    '<nvram type="network"><source protocol="iscsi" name="iqn/0"/></nvram>',
    ...(['network', 'iscsi:iqn/0', 'another one'] as const),
  ],
] as const)('F21a: UEFI variables are a disk: %s is %s:%s (%s)', (nvram, kind, source, _why) => {
  expect(describeDomain(os(nvram)).disks).toEqual([{ kind, source }]);
});

test.each([
  ['a kind that is not known', os('<nvram type="vhostuser"><source path="/run/x"/></nvram>')],
  ['no path', os('<nvram type="file"><source/></nvram>')],
  ['libvirt would choose the file', os('<nvram template="/usr/share/x.fd"/>')],
  ['the same, and its element left out', os('<loader/>', ' firmware="efi"')],
] as const)('F21a: UEFI variables that no fence could look for are refused: %s', (_why, xml) => {
  expect(() => describeDomain(xml)).toThrow(expect.objectContaining({ code: 'REFUSED' }));
});

test('firmware without variables, or none at all, is no disk', () => {
  const stateless = '<loader stateless="yes"/>';
  for (const xml of [os(stateless, ' firmware="efi"'), os('', ' firmware="bios"'), os('')])
    expect(describeDomain(xml).disks).toEqual([]);
});

test.each([
  ['type="file"', 'file="/srv/a"', '/srv/a', 'uring-file'],
  ['type="block"', 'dev="/dev/a"', '/dev/a', 'uring-block'],
  ['', 'file="/srv/a"', '/srv/a', 'uring-file'],
  ['type="network"', 'protocol="rbd" name="p/a"', 'p/a', 'rbd'],
] as const)(
  'F21a: a disk %s %s that is written by io_uring is known as such',
  (type, at, source, kind) => {
    const disk = (io: string): string =>
      disks(`<disk ${type}><driver name="qemu" io="${io}"/><source ${at}/></disk>`);
    expect(describeDomain(disk('io_uring')).disks).toEqual([{ kind, source }]);
    for (const io of ['native', 'threads'])
      expect(describeDomain(disk(io)).disks).toEqual([
        { kind: kind.replace('uring-', ''), source },
      ]);
  },
);

test.each([
  `<qemu:arg value='file=/a,aio=io_uring'/>`,
  `<qemu:arg value='{"driver":"io_uring","filename":"/dev/a"}'/>`,
  `<qemu:property name='aio' type='string' value='io_uring'/>`,
])('F21a: io_uring past libvirt is refused, with the way out: %s', (arg) => {
  const xml = domain(`<q xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>${arg}</q>`);
  expect(() => describeDomain(xml)).toThrow(
    expect.objectContaining({ code: 'REFUSED', message: expect.stringContaining("io='native'") }),
  );
});

test('a path that only sounds like io_uring is a path', () => {
  const disk = '<disk type="file"><source file="/srv/io_uring.img"/></disk>';
  expect(describeDomain(disks(disk)).disks).toEqual([
    { kind: 'file', source: '/srv/io_uring.img' },
  ]);
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
