import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** The program in bash, as it was built into this agent. */
const BASH_PROGRAM = fileURLToPath(new URL('../program/fenceline-fence', import.meta.url));

export interface ProgramFolders {
  runDir: string;
  stateDir: string;
  libvirtUri: string;
}

/** How the program runs on a host that has none: nothing is written there to run it (F30). */
export interface ProgramText {
  command: string;
  /** For its standard input, in front of the order. */
  text: string;
}

/** What may stand in a shell's text as it is. */
const PLAIN = /^[A-Za-z0-9_.:/+@-]+$/;

/**
 * The whole program for standard input. It works in the folders of this agent: those of a cluster's
 * hosts are the same, or its barrier would not be the one that the suspect's agent looks at.
 * @throws Error for a folder that a shell would read as more than a word.
 */
export async function programText(folders: ProgramFolders): Promise<ProgramText> {
  const settings = Object.entries({
    FENCELINE_RUN_DIR: folders.runDir,
    FENCELINE_STATE_DIR: folders.stateDir,
    FENCELINE_LIBVIRT_URI: folders.libvirtUri,
  });
  for (const [name, value] of settings)
    if (!PLAIN.test(value)) throw new Error(`${name}: ${value} has characters that a shell reads`);
  const program = await readFile(BASH_PROGRAM, 'utf8');
  const head = settings.map(([name, value]) => `${name}=${value}\n`).join('');
  // What stands behind the last line is the order, read by the program itself.
  return { command: 'exec /bin/bash -p -s', text: `${head}FENCELINE_PATH=\n${program}` };
}
