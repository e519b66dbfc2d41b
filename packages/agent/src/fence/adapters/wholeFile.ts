import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import { errnoOf } from '../../errno.js';

/** The text of a file, or `absent` if there is none. @throws Error if it can't be read. */
export async function readOr(file: string, absent: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    // safety: only "does not exist" is an empty file, or other people's keys would be lost
    if (errnoOf(error) === 'ENOENT') return absent;
    throw error;
  }
}

/** Whole or not at all, synced before it takes the old one's place. */
export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const temp = `${file}.fenceline-new`;
  await rm(temp, { force: true });
  const handle = await open(temp, 'wx', mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await chmod(temp, mode);
  await rename(temp, file);
}
