import { access, constants, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@fenceline/common';
import { errnoOf } from '../../errno.js';

/**
 * Makes the directories of the records, and tells this boot who the host is: the fence program
 * looks in `runDir` first, as the disk may hang when it is needed.
 * @throws Error that names the directory and says what to do.
 */
export async function prepareHostState(dirs: { runDir: string; stateDir: string }): Promise<void> {
  for (const [name, dir] of Object.entries(dirs)) {
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new Error(
        `can't use ${name} ${dir} (${messageOf(error)}): the agent runs as root and needs it`,
        { cause: error },
      );
    }
  }
  try {
    await copyFile(join(dirs.stateDir, 'host'), join(dirs.runDir, 'host'));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT')
      throw new Error(`can't read the state: ${messageOf(error)}`, { cause: error });
  }
}
