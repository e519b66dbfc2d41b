import type { QemuArguments } from './qemu.js';

/** A definition as a person would write it; memory in MiB. */
export function domainText(vm: {
  uuid: string;
  name: string;
  disks: readonly string[];
  memoryMiB?: number;
}): string {
  const disks = vm.disks.map(
    (source, i) =>
      `<disk type="file" device="disk"><driver name="qemu" type="raw" cache="none"/>` +
      `<source file="${source}"/><target dev="vd${'abcdefgh'[i] ?? 'z'}" bus="virtio"/></disk>`,
  );
  return (
    `<domain type="kvm"><name>${vm.name}</name><uuid>${vm.uuid}</uuid>` +
    `<memory unit="MiB">${vm.memoryMiB ?? 256}</memory><vcpu>1</vcpu>` +
    `<os><type arch="x86_64" machine="pc">hvm</type></os>` +
    `<devices>${disks.join('')}</devices></domain>`
  );
}

/** The command line that libvirt makes of a definition, as far as this world has one. */
export function argumentsOf(xml: string): QemuArguments {
  const mark = /<entry name="opt\/org\.fenceline\/run">(\d+)<\/entry>/.exec(xml);
  const sources = [...xml.matchAll(/<source file="([^"]+)"/g)].map(([, source = '']) => source);
  return {
    vmUuid: (/<uuid>([^<]+)<\/uuid>/.exec(xml)?.[1] ?? '').trim().toLowerCase(),
    name: (/<name>([^<]+)<\/name>/.exec(xml)?.[1] ?? '').trim(),
    epoch: mark?.[1] === undefined ? null : Number(mark[1]),
    disks: sources,
  };
}
