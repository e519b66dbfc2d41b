import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errnoOf } from '../../errno.js';
import { nativeProgram } from '../../nativeProgram.js';
import { isGreeting } from '../order.js';
import { runTool } from './runTool.js';

/** Which fence program hosts run from now on. */
export interface InstalledProgram {
  /** `native`: the one in C. `bash`: that one was not built, or does not run here. */
  kind: 'native' | 'bash';
  /** It can be started without a disk (F26); not where /run takes no programs (noexec). */
  inMemory: boolean;
}

/** The two programs as files; the first that runs on this host is installed. */
export type BuiltPrograms = Record<InstalledProgram['kind'], string | undefined>;

/** As they were built into this agent. */
export const BUILT_PROGRAMS: BuiltPrograms = {
  native: nativeProgram('fenceline-fence'),
  bash: fileURLToPath(new URL('../program/fenceline-fence', import.meta.url)),
};

const BUILT_DOOR = nativeProgram('fenceline-door');
const WRONG_USAGE = 2;

/** A program says its greeting at once; one that doesn't is none. */
const GREETING_MS = 5_000;

/**
 * Writes the program where the forced command finds it: in memory, and on disk for the time after a
 * boot. Programs that run already are not touched.
 * @throws Error that says what could not be written, or that neither program runs here.
 */
export async function installProgram(
  [inMemory, onDisk]: readonly [string, string],
  built: BuiltPrograms = BUILT_PROGRAMS,
): Promise<InstalledProgram> {
  for (const kind of ['native', 'bash'] as const) {
    const program = await contentOf(built[kind]);
    if (program === undefined || !(await put(onDisk, program))) continue;
    const runsInMemory = await put(inMemory, program);
    // safety: F26: what is there but can't be started would keep the one on disk from being used
    if (!runsInMemory) await rm(inMemory, { force: true });
    return { kind, inMemory: runsInMemory };
  }
  throw new Error(`no fence program runs on this host: ${onDisk} did not say its greeting`);
}

/**
 * Writes the door beside the fence program: in memory, or where that takes no programs on disk.
 * @returns where; undefined: it was not built, or does not run here.
 * @throws Error that says what could not be written.
 */
export async function installDoor(
  places: readonly [string, string],
  built: string | undefined = BUILT_DOOR,
): Promise<string | undefined> {
  const program = await contentOf(built);
  if (program === undefined) return undefined;
  for (const file of places) if (await put(file, program, explainsItself)) return file;
  return undefined;
}

/** Whole or not at all, and only if it runs there: a wrong machine type, noexec. */
async function put(
  file: string,
  program: Buffer,
  works: (file: string) => Promise<boolean> = greets,
): Promise<boolean> {
  // The same again stays as it is: what runs it is known by the file.
  if ((await contentOf(file))?.equals(program) === true && (await works(file))) return true;
  await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  const temp = `${file}.fenceline-new`;
  await rm(temp, { force: true });
  const handle = await open(temp, 'wx', 0o755);
  try {
    await handle.writeFile(program);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await chmod(temp, 0o755);
  // safety: F26: a program that can't be started here never takes the place of one that can
  if (!(await works(temp))) {
    await rm(temp, { force: true });
    return false;
  }
  await rename(temp, file);
  return true;
}

async function greets(file: string): Promise<boolean> {
  const limits = { ms: GREETING_MS, signal: new AbortController().signal };
  // Without an order it says its greeting, refuses, and ends.
  const { stdout } = await runTool(file, ['--run-dir', '/', '--state-dir', '/'], limits);
  return isGreeting(stdout.split('\n', 1)[0] ?? '');
}

/** Without options the door says what it needs, and ends. */
async function explainsItself(file: string): Promise<boolean> {
  const limits = { ms: GREETING_MS, signal: new AbortController().signal };
  return (await runTool(file, [], limits)).code === WRONG_USAGE;
}

async function contentOf(file: string | undefined): Promise<Buffer | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
