import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeKeyedQueue } from '@fenceline/common';
import { errnoOf } from '../../errno.js';
import type { ProtectedLists } from '../hookPorts.js';

const NAME = 'protected';
/** Writes that may wait for a disk that hangs. */
const MAX_WAITING = 16;

/** The list as two files: `stateDir` survives a boot, `runDir` is what the hook reads. */
export function fileProtectedLists(dirs: { runDir: string; stateDir: string }): ProtectedLists {
  const disk = makeKeyedQueue(MAX_WAITING);
  const onDisk = join(dirs.stateDir, NAME);
  const forHook = join(dirs.runDir, NAME);
  return {
    keep: (list) =>
      disk.run(onDisk, async () => {
        if ((await textOf(onDisk)) !== list) await replace(onDisk, list, true);
      }),
    kept: () => textOf(onDisk),
    offer: async (list) => {
      if ((await textOf(forHook)) !== list) await replace(forHook, list, false);
    },
  };
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    // safety: F34: only "there is no such file" is a host that never had a protected VM
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The hook reads the old list or the new one, never half of one, and after a crash, too. */
async function replace(file: string, text: string, sync: boolean): Promise<void> {
  const made = `${file}.new`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(made, 'w', 0o600);
  try {
    await handle.writeFile(text);
    if (sync) await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(made, file);
  if (sync) await syncFolder(dirname(file));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
