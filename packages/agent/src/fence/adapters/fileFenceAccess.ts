import { lstat, mkdir, readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Secret } from '@fenceline/common';
import { errnoOf } from '../../errno.js';
import type { FenceAccess } from '../../host/fenceAccess.js';
import { renderAuthorizedKeys } from '../authorizedKeys.js';
import { fenceKeys } from './fenceKeys.js';
import { readOr, replaceFile } from './wholeFile.js';

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
  const keys = fenceKeys(join(options.stateDir, 'fence-key'));
  const programFile = join(options.stateDir, 'bin', 'fenceline-fence');
  const installProgram = async (): Promise<void> => {
    await mkdir(dirname(programFile), { recursive: true, mode: 0o755 });
    const text = withSettings(await readFile(BUILT_PROGRAM, 'utf8'), options);
    await replaceFile(programFile, text, 0o755);
  };
  return {
    programFile,
    installProgram,
    privateKey: async () => (await keys.current()).private,
    publicKey: async () => (await keys.current()).public,
    prepareKey: () => keys.prepare(),
    switchKey: (publicKey) => keys.switchTo(publicKey),
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

/** A file that is a link is replaced where it points to, as an administrator laid it. */
async function resolved(file: string): Promise<string> {
  try {
    return (await lstat(file)).isSymbolicLink() ? await realpath(file) : file;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return file;
    throw error;
  }
}
