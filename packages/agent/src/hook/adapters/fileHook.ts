import { chmod, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '@fenceline/common';
import { errnoOf } from '../../errno.js';
import { nativeProgram } from '../../nativeProgram.js';
import type { HookFile } from '../hookPorts.js';
import { withHookSettings } from '../hookSettings.js';

export interface FileHookOptions {
  /** libvirt's folder of hooks for qemu, `/etc/libvirt/hooks/qemu.d`. */
  dir: string;
  runDir: string;
  stateDir: string;
  /** The program; the one that was built into this agent if absent. */
  program?: string;
}

const NAME = '50-fenceline';
const MODE = 0o755;
const BUILT_PROGRAM = nativeProgram('fenceline-hook');

/** The hook as a file of libvirt's. */
export function fileHook(options: FileHookOptions): HookFile {
  const file = join(options.dir, NAME);
  return {
    install: async () => {
      try {
        const wanted = withHookSettings(await program(options), options);
        if (await isInPlace(file, wanted)) return false;
        await put(file, wanted);
        return true;
      } catch (error) {
        throw new Error(`the libvirt hook ${file} can't be installed: ${messageOf(error)}`, {
          cause: error,
        });
      }
    },
  };
}

async function program({ program: file = BUILT_PROGRAM }: FileHookOptions): Promise<Uint8Array> {
  try {
    if (file !== undefined) return await readFile(file);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  throw new Error('this agent carries no hook: it was built without a C compiler');
}

/** A plain file of root's with these bytes that everybody may run: nothing else is left as it is. */
async function isInPlace(file: string, wanted: Uint8Array): Promise<boolean> {
  try {
    const what = await lstat(file);
    const plain = what.isFile() && (what.mode & 0o7777) === MODE && what.size === wanted.length;
    return plain && Buffer.compare(await readFile(file), wanted) === 0;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** libvirt runs every executable file of the folder, whatever its name: so it is made outside. */
async function put(file: string, bytes: Uint8Array): Promise<void> {
  const dir = dirname(file);
  const made = join(dirname(dir), '.fenceline-hook-new');
  await mkdir(dir, { recursive: true, mode: 0o755 });
  await rm(made, { force: true });
  const handle = await open(made, 'wx', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await chmod(made, MODE);
  await rename(made, file);
}
