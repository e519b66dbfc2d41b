import type { HostHandle } from '@fenceline/lab';
import type { SiteVm, FenceSite } from './fenceSite.js';

/**
 * A VM whose writes wait in its host's memory (cache=writeback; an IDE disk, whose guest asks for no
 * flush) and go from there into a file system in a file, `STORAGE`, on another file system. What
 * has reached `STORAGE` has arrived; the lower file system can be frozen, then nothing does.
 */
export interface CachedVm extends SiteVm {
  host: HostHandle;
}

const LOW = '/run/low';
const UP = '/run/up';
const STORAGE = `${LOW}/storage.ext4`;
const IMAGE = 'late.img';

/** Written out, and looked at by nobody, before it is used: its blocks stay where they are. */
const PREPARE = `
set -e
truncate -s 48M ${LOW}.ext4; mkfs.ext4 -q ${LOW}.ext4; mkdir ${LOW}; mount -o loop ${LOW}.ext4 ${LOW}
truncate -s 24M ${STORAGE}; mkfs.ext4 -q ${STORAGE}; mkdir ${UP}; mount -o loop ${STORAGE} ${UP}
cat "$1" >${UP}/${IMAGE}; umount ${UP}; mount -o loop ${STORAGE} ${UP}`;

export async function makeCachedVm(site: FenceSite, name: string): Promise<CachedVm> {
  const { host } = site.suspect;
  const { path } = await site.agents.lab.createDisk(name);
  await host.mustExec(['sh', '-c', PREPARE, 'sh', path]);
  const disk = `${UP}/${IMAGE}`;
  const plain = await site.agents.lab.domainXml({ name, disk });
  const xml = plain
    .replace("cache='none'", "cache='writeback'")
    .replace("dev='vda' bus='virtio'", "dev='hda' bus='ide'");
  await host.mustExec(['sh', '-c', 'cat | virsh define /dev/stdin'], { input: xml });
  return { name, vmUuid: /<uuid>(.*?)<\/uuid>/.exec(xml)?.[1] ?? '', disk, xml, host };
}

/** The digest of the image as the host's programs see it: with what waits in memory. */
export async function seenByHost({ host, disk }: CachedVm): Promise<string> {
  return host.mustExec(['sh', '-c', `sha256sum <${disk}`]);
}

/** The digest of what has arrived: the blocks of the image, read past the file system in which it lies. */
export async function arrived({ host }: CachedVm): Promise<string> {
  const read = `debugfs -R 'cat /${IMAGE}' ${STORAGE} 2>/dev/null | sha256sum`;
  return host.mustExec(['sh', '-c', read]);
}

/** Writes out all that still waits anywhere: what could arrive within half a minute does so now. */
export async function letAllArrive({ host }: CachedVm): Promise<void> {
  await host.mustExec(['sync', '-f', UP]);
}

/** Nothing that is on its way arrives before the end of `work`. */
export async function whileFrozen<T>({ host }: CachedVm, work: () => Promise<T>): Promise<T> {
  await host.mustExec(['fsfreeze', '-f', LOW]);
  try {
    return await work();
  } finally {
    await host.mustExec(['fsfreeze', '-u', LOW]);
  }
}

export async function removeCachedVm({ host }: CachedVm): Promise<void> {
  await host.mustExec(['sh', '-c', `umount ${UP} && umount ${LOW}`]);
}
