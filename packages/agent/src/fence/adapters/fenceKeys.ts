import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Secret } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import ssh2 from 'ssh2';
import { readOr, replaceFile } from './wholeFile.js';

export interface KeyPair {
  private: Secret;
  /** `ssh-ed25519 AAAA…` */
  public: string;
}

/** This host's own fence key as a file of root's, and the one that is to follow it (F29). */
export interface FenceKeys {
  /** The key in use. Made at the first call. */
  current(): Promise<KeyPair>;
  /** Public half of the key that is to follow; made if there is none. It is not used yet. */
  prepare(): Promise<string>;
  /**
   * Uses the prepared key from now on; the former one is gone. Repeating it changes nothing.
   * @throws DomainError CONFLICT if this is neither the prepared key nor the one in use.
   */
  switchTo(publicKey: string): Promise<void>;
}

export function fenceKeys(keyFile: string): FenceKeys {
  const nextFile = `${keyFile}.next`;
  let made: Promise<KeyPair> | undefined;
  const current = (): Promise<KeyPair> => {
    made ??= loadOrMakeKey(keyFile).catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
  return {
    current,
    prepare: async () => (await loadOrMakeKey(nextFile)).public,
    switchTo: async (publicKey) => {
      if ((await current()).public === publicKey) {
        await rm(nextFile, { force: true });
        return;
      }
      const next = await readOr(nextFile, '');
      // safety: F29: the siblings were told that key and no other; with another this host could
      // not fence any of them
      if (next === '' || publicHalf(next) !== publicKey)
        throw new DomainError('CONFLICT', 'that is not the key that was prepared on this host');
      await rename(nextFile, keyFile);
      made = Promise.resolve(pairOf(next));
    },
  };
}

async function loadOrMakeKey(file: string): Promise<KeyPair> {
  const kept = await readOr(file, '');
  if (kept !== '') return pairOf(kept);
  const made = makeKey();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, made, 0o600);
  return pairOf(made);
}

function pairOf(privateKey: string): KeyPair {
  return { private: new Secret(privateKey), public: publicHalf(privateKey) };
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
