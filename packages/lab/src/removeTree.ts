import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { LabError, messageOf } from './labError.js';

/**
 * Removes a folder with all that is in it; harmless if there is none. Not by `rmSync`: that of
 * Node 24 returns without a word, and leaves the rest, when somebody else removes a file meanwhile.
 * @throws LabError if something is left.
 */
export async function removeTree(dir: string): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  } catch (error) {
    throw new LabError(`${dir} cannot be removed: ${messageOf(error)}`);
  }
  if (existsSync(dir)) throw new LabError(`${dir} cannot be removed: something is left in it.`);
}
