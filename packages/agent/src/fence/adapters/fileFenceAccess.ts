import { chmod, lstat, mkdir, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Secret } from '@fenceline/common';
import ssh2 from 'ssh2';
import { errnoOf } from '../../errno.js';
import type { FenceAccess } from '../../host/fenceAccess.js';
import { renderAuthorizedKeys } from '../authorizedKeys.js';

export interface FenceAccessOptions {
  /** Holds the key pair and the installed program. */
  stateDir: string;
  runDir: string;
  libvirtUri: string;
  /** Of the user that siblings log in as, `/root/.ssh/authorized_keys`. */
  authorizedKeysFile: string;
}

export interface FileFenceAccess extends FenceAccess {
  /** The private half, for the SSH adapter; it never leaves this host. Made at the first call. */
  privateKey(): Promise<Secret>;
  /** Writes the program where the forced command finds it. */
  installProgram(): Promise<void>;
  readonly programFile: string;
}

/** The program as it was built into this agent. */
const BUILT_PROGRAM = fileURLToPath(new URL('../program/fenceline-fence', import.meta.url));

/** What may stand in the program's text as it is. */
const PLAIN = /^[A-Za-z0-9_.:/+@-]+$/;

/** Own key pair, installed program and siblings' entries as files (F29). */
export function fileFenceAccess(options: FenceAccessOptions): FileFenceAccess {
  const keyFile = join(options.stateDir, 'fence-key');
  const programFile = join(options.stateDir, 'bin', 'fenceline-fence');
  let made: Promise<{ private: string; public: string }> | undefined;
  const keyPair = (): Promise<{ private: string; public: string }> => {
    made ??= loadOrMakeKey(keyFile).catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
  const installProgram = async (): Promise<void> => {
    await mkdir(dirname(programFile), { recursive: true, mode: 0o755 });
    const text = withSettings(await readFile(BUILT_PROGRAM, 'utf8'), options);
    await replaceFile(programFile, text, 0o755);
  };
  return {
    programFile,
    installProgram,
    privateKey: async () => new Secret((await keyPair()).private),
    publicKey: async () => (await keyPair()).public,
    install: async (siblings) => {
      await installProgram();
      const file = await resolved(options.authorizedKeysFile);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      const before = await readOr(file, '');
      const after = renderAuthorizedKeys(before, siblings, programFile);
      if (after !== before) await replaceFile(file, after, 0o600);
    },
  };
}

/**
 * The program with this agent's settings as its defaults.
 * safety: a sibling's fence runs it without any environment; with other folders its barrier would
 * not be the one that this agent's starts look at.
 */
function withSettings(program: string, options: FenceAccessOptions): string {
  const settings = [
    ['FENCELINE_RUN_DIR', options.runDir],
    ['FENCELINE_STATE_DIR', options.stateDir],
    ['FENCELINE_LIBVIRT_URI', options.libvirtUri],
  ] as const;
  return settings.reduce((text, [name, value]) => {
    const line = new RegExp(`\\$\\{${name}:-[^}]*\\}`);
    if (!line.test(text)) throw new Error(`the fence program has no setting ${name}`);
    if (!PLAIN.test(value)) throw new Error(`${name}: ${value} has characters that a shell reads`);
    return text.replace(line, () => `\${${name}:-${value}}`);
  }, program);
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
