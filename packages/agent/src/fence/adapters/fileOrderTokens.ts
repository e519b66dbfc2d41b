import { chmod, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeKeyedQueue } from '@fenceline/common';
import { ORDER_TOKEN } from '@fenceline/protocol';
import { errnoOf } from '../../errno.js';
import { checkRoom, type OrderTokens } from '../orderTokens.js';

const MAX_WAITING = 16;

/**
 * One empty file per token in `tokens` below the run directory: gone with the boot, readable by root
 * only. The fence program takes a token by removing its file, which only one of many can do.
 */
export function fileOrderTokens(runDir: string): OrderTokens {
  const dir = join(runDir, 'tokens');
  const one = makeKeyedQueue(MAX_WAITING);
  const held = async (): Promise<Set<string>> =>
    new Set((await namesIn(dir)).filter((name) => ORDER_TOKEN.test(name)));
  return {
    deposit: (tokens, { replace }) =>
      one.run('deposit', async () => {
        await mkdir(dir, { recursive: true, mode: 0o700 });
        await chmod(dir, 0o700);
        const before = await held();
        checkRoom(replace ? new Set() : before, tokens);
        const wanted = new Set(tokens);
        for (const token of replace ? before : [])
          if (!wanted.has(token)) await rm(join(dir, token), { force: true });
        for (const token of tokens) if (!before.has(token)) await create(join(dir, token));
        return (await held()).size;
      }),
    held: async () => (await held()).size,
  };
}

async function create(file: string): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  await handle.close();
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
