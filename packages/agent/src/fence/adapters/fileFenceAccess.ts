import { chmod, lstat, mkdir, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Secret } from '@fenceline/common';
import ssh2 from 'ssh2';
import { errnoOf } from '../../errno.js';
import type { FenceAccess } from '../../host/fenceAccess.js';
import { renderAuthorizedKeys } from '../authorizedKeys.js';
import { programFiles, type ProgramSettings } from '../programCommand.js';
import { installProgram, type BuiltPrograms, type InstalledProgram } from './installedProgram.js';

export interface FenceAccessOptions extends ProgramSettings {
  /** Of the user that siblings log in as, `/root/.ssh/authorized_keys`. */
  authorizedKeysFile: string;
  /** What can be installed; what was built into this agent if absent. */
  programs?: BuiltPrograms;
}

export interface FileFenceAccess extends FenceAccess {
  /** The private half, for the SSH adapter; it never leaves this host. Made at the first call. */
  privateKey(): Promise<Secret>;
  /** Writes the program where the forced command finds it, and says which one. */
  installProgram(): Promise<InstalledProgram>;
}

/** Own key pair, installed program and siblings' entries as files (F29). */
export function fileFenceAccess(options: FenceAccessOptions): FileFenceAccess {
  const keyFile = join(options.stateDir, 'fence-key');
  let made: Promise<{ private: string; public: string }> | undefined;
  const keyPair = (): Promise<{ private: string; public: string }> => {
    made ??= loadOrMakeKey(keyFile).catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
  const install = (): Promise<InstalledProgram> =>
    installProgram(programFiles(options), options.programs);
  return {
    installProgram: install,
    privateKey: async () => new Secret((await keyPair()).private),
    publicKey: async () => (await keyPair()).public,
    install: async (siblings, { orderTokens } = { orderTokens: false }) => {
      await install();
      const file = await resolved(options.authorizedKeysFile);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      const before = await readOr(file, '');
      const after = renderAuthorizedKeys(before, siblings, { ...options, orderTokens });
      if (after !== before) await replaceFile(file, after, 0o600);
    },
  };
}

async function loadOrMakeKey(file: string): Promise<{ private: string; public: string }> {
  const kept = await readOr(file, '');
  if (kept !== '') return { private: kept, public: publicHalf(kept) };
  const made = makeKey();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, made, 0o600);
  return { private: made, public: publicHalf(made) };
}

/** More than enough: about one in three hundred is bad. */
const MAX_KEY_TRIES = 50;

/**
 * ssh2 now and then makes an ed25519 key that nobody, itself included, can read (a part of it
 * comes out one byte short); such a key is thrown away before anybody relies on it.
 */
function makeKey(): string {
  for (let i = 0; i < MAX_KEY_TRIES; i += 1) {
    const made = ssh2.utils.generateKeyPairSync('ed25519').private;
    if (worksAsKey(made)) return made;
  }
  throw new Error('no fence key could be made for this host');
}

/** It can be read, and what it signs it verifies. */
export function worksAsKey(privateKey: string): boolean {
  const parsed = ssh2.utils.parseKey(privateKey);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error) return false;
  const text = 'fenceline';
  const signature: unknown = key.sign(text);
  return Buffer.isBuffer(signature) && key.verify(text, signature) === true;
}

function publicHalf(privateKey: string): string {
  const parsed = ssh2.utils.parseKey(privateKey);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error)
    throw new Error('the fence key of this host can not be read');
  return `${key.type} ${key.getPublicSSH().toString('base64')}`;
}

/** A file that is a link is replaced where it points to, as an administrator laid it. */
async function resolved(file: string): Promise<string> {
  try {
    return (await lstat(file)).isSymbolicLink() ? await realpath(file) : file;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return file;
    throw error;
  }
}

async function readOr(file: string, absent: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    // safety: only "does not exist" is an empty file, or other people's keys would be lost
    if (errnoOf(error) === 'ENOENT') return absent;
    throw error;
  }
}

/** Whole or not at all, synced before it takes the old one's place. */
async function replaceFile(file: string, text: string, mode: number): Promise<void> {
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
