import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf, Secret } from '@fenceline/common';
import ssh2 from 'ssh2';

/** The key with which this host logs in to its siblings; the private half never leaves it (F29). */
export interface FenceKey {
  /** OpenSSH format. */
  privateKey: Secret;
  /** `ssh-ed25519 AAAA…`, without a comment. */
  publicKey: string;
}

/**
 * The key of `stateDir/fence_ed25519`, made at the first start.
 * @throws Error that names the file, if it can't be read, made or understood.
 */
export async function loadFenceKey(stateDir: string): Promise<FenceKey> {
  const path = join(stateDir, 'fence_ed25519');
  const text = (await readIfThere(path)) ?? (await makeKey(path));
  const parsed = ssh2.utils.parseKey(text);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error || key.type !== 'ssh-ed25519')
    throw new Error(`${path} is not an ed25519 key; remove it and a new one is made`);
  return {
    privateKey: new Secret(text),
    publicKey: `ssh-ed25519 ${key.getPublicSSH().toString('base64')}`,
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    await chmod(path, 0o600);
    return text;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Error(`can't read the fence key ${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function makeKey(path: string): Promise<string> {
  const made = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'fenceline' });
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await write(`${path}.new`, made.private);
    await write(`${path}.pub`, `${made.public}\n`);
    await rename(`${path}.new`, path);
  } catch (error) {
    throw new Error(`can't write the fence key ${path}: ${messageOf(error)}`, { cause: error });
  }
  return made.private;
}

async function write(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
