import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../errno.js';
import type { StatusFiles } from '../wedgeGuard.js';
import type { StatusFile } from '../wedgeRules.js';

/** @param dir where libvirt keeps them, `/run/libvirt/qemu`. */
export function libvirtStatusFiles(dir: string): StatusFiles {
  const pathOf = (name: string): string => {
    if (name.includes('/')) throw new Error('a domain name with a slash');
    return join(dir, `${name}.xml`);
  };
  return {
    read: (name) => readStatus(pathOf(name)),
    remove: async (name, version) => {
      const now = await readStatus(pathOf(name));
      if (now?.version === version) await rm(pathOf(name), { force: true });
    },
  };
}

async function readStatus(path: string): Promise<StatusFile | undefined> {
  try {
    const { ino, mtimeMs, size } = await stat(path);
    const text = await readFile(path, 'utf8');
    return { text, ageMs: Date.now() - mtimeMs, version: `${ino} ${mtimeMs} ${size}` };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
