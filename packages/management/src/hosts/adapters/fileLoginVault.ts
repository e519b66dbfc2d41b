import { randomBytes } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, openWithKey, sealFor, sealWithKey } from '@fenceline/common';
import type { LoginVault } from '../hostLogins.js';

const KEY_BYTES = 32;

/**
 * Seals with a key in a file of its own beside the database: who has only the database, or a copy of
 * it, has no secret. Made at the first one that is stored.
 */
export function fileLoginVault(stateDir: string): LoginVault {
  const file = path.join(stateDir, 'login-key');
  return {
    seal: async (owner, secret) => sealWithKey(await loadOrMakeKey(file), secret, contextOf(owner)),
    open: async (owner, sealed) => {
      try {
        return openWithKey(await readKey(file), sealed, contextOf(owner));
      } catch {
        throw new Error(
          `a stored secret can't be opened with ${file}; set the login or the power device anew`,
        );
      }
    },
    sealFor,
  };
}

function contextOf(owner: string): string {
  return `fenceline-login-1 ${owner}`;
}

async function loadOrMakeKey(file: string): Promise<Buffer> {
  try {
    return await readKey(file);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  // Whole or not at all: a key that was cut short would lose every secret that was sealed with it.
  const temp = `${file}.${randomBytes(8).toString('hex')}`;
  try {
    const handle = await open(temp, 'wx', 0o600);
    try {
      await handle.writeFile(randomBytes(KEY_BYTES));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(temp, file);
  } catch (error) {
    // Another call was faster.
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    await rm(temp, { force: true });
  }
  return readKey(file);
}

async function readKey(file: string): Promise<Buffer> {
  const key = await readFile(file);
  if (key.length !== KEY_BYTES)
    throw new Error(`${file} is not a key; remove it, and set logins and power devices anew`);
  return key;
}
