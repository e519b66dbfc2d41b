import { existsSync } from 'node:fs';
import path from 'node:path';

/** What the lab needs of the machine, and the Debian package that brings it. */
const requirements = [
  { needs: 'qemu-system-x86_64', package: 'qemu-system-x86', why: 'the VMs' },
  { needs: 'libvirtd', package: 'libvirt-daemon-system', why: "the hosts' libvirt" },
  { needs: 'virsh', package: 'libvirt-clients', why: "the hosts' libvirt" },
  { needs: 'sshd', package: 'openssh-server', why: "the hosts' SSH server" },
  { needs: 'ssh-keygen', package: 'openssh-client', why: 'SSH keys' },
  { needs: 'ip', package: 'iproute2', why: "the lab's own networks" },
  { needs: 'nft', package: 'nftables', why: 'network faults' },
  { needs: 'nsenter', package: 'util-linux', why: 'work inside a host' },
  { needs: 'gcc', package: 'gcc', why: "the lab's helpers are compiled" },
  { needs: 'as', package: 'binutils', why: 'the guest is assembled' },
  { needs: 'pkg-config', package: 'pkg-config', why: "the lab's helpers are compiled" },
  { needs: '/usr/include/stdlib.h', package: 'libc6-dev', why: "the lab's helpers are compiled" },
  { needs: '/usr/include/fuse3/fuse.h', package: 'libfuse3-dev', why: 'the shared storage' },
] as const;

export interface MissingPackage {
  readonly package: string;
  readonly why: string;
}

/** The Debian packages that have to be installed before a lab can come up; empty: all is there. */
export function missingPackages(searchPath = process.env['PATH'] ?? ''): MissingPackage[] {
  const dirs = [...searchPath.split(':'), '/usr/sbin', '/sbin'];
  const isThere = (file: string) =>
    file.startsWith('/') ? existsSync(file) : dirs.some((dir) => existsSync(path.join(dir, file)));
  const missing = requirements.filter((requirement) => !isThere(requirement.needs));
  return [...new Map(missing.map((m) => [m.package, { package: m.package, why: m.why }])).values()];
}
