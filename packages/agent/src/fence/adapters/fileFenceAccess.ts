import { lstat, mkdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Secret } from '@fenceline/common';
import { errnoOf } from '../../errno.js';
import type { FenceAccess } from '../../host/fenceAccess.js';
import { renderAuthorizedKeys } from '../authorizedKeys.js';
import { programFiles, type ProgramSettings } from '../programCommand.js';
import { fenceKeys } from './fenceKeys.js';
import { installProgram, type BuiltPrograms, type InstalledProgram } from './installedProgram.js';
import { readOr, replaceFile } from './wholeFile.js';

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
  const keys = fenceKeys(join(options.stateDir, 'fence-key'));
  const install = (): Promise<InstalledProgram> =>
    installProgram(programFiles(options), options.programs);
  return {
    installProgram: install,
    privateKey: async () => (await keys.current()).private,
    publicKey: async () => (await keys.current()).public,
    prepareKey: () => keys.prepare(),
    switchKey: (publicKey) => keys.switchTo(publicKey),
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

/** A file that is a link is replaced where it points to, as an administrator laid it. */
async function resolved(file: string): Promise<string> {
  try {
    return (await lstat(file)).isSymbolicLink() ? await realpath(file) : file;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return file;
    throw error;
  }
}
