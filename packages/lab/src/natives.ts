import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { LabError } from './labError.js';
import { packageRoot, projectRoot } from './plan/paths.js';
import { identify } from './processes.js';
import { removeTree } from './removeTree.js';
import { mustRun } from './run.js';

/** Where the compiled helpers and the guest's boot sector are. */
export interface Natives {
  /** Also holds what was learnt about this machine: emulator capabilities, acceleration. */
  readonly cacheDir: string;
  readonly labnode: string;
  readonly labenter: string;
  readonly labfs: string;
  readonly labecho: string;
  readonly labhog: string;
  /** 512 bytes. */
  readonly bootSector: string;
}

const sourceDirs = ['native', 'guest'].map((dir) => path.join(packageRoot, dir));

/**
 * Compiles what is not yet compiled from these very sources (about 1.5 s, once per machine).
 * Safe to be called by several programs at once.
 * @throws LabError if the compiler or a library is missing, or says no.
 */
export async function buildNatives(): Promise<Natives> {
  const cacheDir = path.join(cacheRoot(), sourceHash());
  const bin = path.join(cacheDir, 'bin');
  if (!existsSync(bin)) await compileInto(bin);
  const at = (name: string) => path.join(bin, name);
  return {
    cacheDir,
    labnode: at('labnode'),
    labenter: at('labenter'),
    labfs: at('labfs'),
    labecho: at('labecho'),
    labhog: at('labhog'),
    bootSector: at('beacon.bin'),
  };
}

function cacheRoot(): string {
  const modules = path.join(projectRoot, 'node_modules');
  if (existsSync(modules)) return path.join(modules, '.cache', 'fenceline-lab');
  return path.join(os.tmpdir(), `fenceline-lab-cache-${process.getuid?.() ?? 0}`);
}

function sourceHash(): string {
  const hash = createHash('sha256').update(os.arch());
  for (const dir of sourceDirs) {
    for (const name of readdirSync(dir).sort()) hash.update(readFileSync(path.join(dir, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function compileInto(bin: string): Promise<void> {
  await dropAbandoned(bin);
  const work = `${bin}.${process.pid}`;
  mkdirSync(work, { recursive: true, mode: 0o755 });
  try {
    const fuse = (await mustRun(['pkg-config', '--cflags', '--libs', 'fuse3'])).trim().split(/\s+/);
    await Promise.all([
      compile(work, 'labnode', ['labnode.c', 'init.c']),
      compile(work, 'labenter', ['labenter.c']),
      compile(work, 'labecho', ['labecho.c']),
      compile(work, 'labhog', ['labhog.c']),
      compile(work, 'labfs', ['labfs.c', 'gate.c', ...fuse]),
      assemble(work),
    ]);
    renameSync(work, bin);
  } catch (error) {
    await removeTree(work);
    if (existsSync(bin)) return; // somebody else was faster
    throw new LabError(`The lab's helpers cannot be compiled. ${String(error)}`);
  }
}

/** Takes away what compilations that were killed have left. */
async function dropAbandoned(bin: string): Promise<void> {
  const dir = path.dirname(bin);
  for (const name of existsSync(dir) ? readdirSync(dir) : []) {
    const pid = /^bin\.(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !identify(Number(pid))) {
      await removeTree(path.join(dir, name));
    }
  }
}

async function compile(work: string, name: string, args: readonly string[]): Promise<void> {
  const flags = ['-std=gnu17', '-O2', '-Wall', '-Wextra', '-Werror'];
  const cwd = path.join(packageRoot, 'native');
  await mustRun(['gcc', ...flags, '-o', path.join(work, name), ...args], { cwd });
}

async function assemble(work: string): Promise<void> {
  const at = (name: string) => path.join(work, name);
  await mustRun(['as', '--32', '-o', at('beacon.o'), path.join(packageRoot, 'guest/beacon.S')]);
  const link = ['ld', '-m', 'elf_i386', '-Ttext', '0x7c00', '--oformat', 'binary'];
  await mustRun([...link, '-o', at('beacon.bin'), at('beacon.o')]);
}
