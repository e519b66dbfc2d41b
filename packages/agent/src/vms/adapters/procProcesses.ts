import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@fenceline/common';
import { errnoOf } from '../../errno.js';
import {
  isGone,
  isQemu,
  isQemuComm,
  parseCmdline,
  parseQemuArguments,
  parseStat,
  type ProcessStat,
} from '../parseProcess.js';
import type { Processes, QemuProcess } from '../processes.js';

/** How many processes are read at once. */
const WIDTH = 64;

/** The process table, from `/proc`. */
export function procProcesses(proc = '/proc'): Processes {
  return {
    qemus: async () => {
      const pids = await pidsIn(proc);
      // safety: a pass that does not see pid 1 and itself is a view of something else (F21).
      for (const control of [1, process.pid])
        if (proc === '/proc' && !pids.includes(control))
          throw new Error(`the process table does not show pid ${control}`);
      const found: QemuProcess[] = [];
      for (let i = 0; i < pids.length; i += WIDTH) {
        const part = await Promise.all(
          pids.slice(i, i + WIDTH).map((pid) => qemuOf(join(proc, String(pid)), pid)),
        );
        found.push(...part.filter((qemu) => qemu !== undefined));
      }
      return found;
    },
    startTimeOf: async (pid) => {
      const stat = await statOf(join(proc, String(pid)));
      return stat === undefined || isGone(stat) ? undefined : stat.startTime;
    },
  };
}

async function pidsIn(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  return names.filter((name) => /^[1-9]\d*$/.test(name)).map(Number);
}

async function qemuOf(dir: string, pid: number): Promise<QemuProcess | undefined> {
  const stat = await statOf(dir);
  if (stat === undefined || isGone(stat)) return undefined;
  const args = parseCmdline((await reading(() => readFile(join(dir, 'cmdline'), 'utf8'))) ?? '');
  const dying = stat.state === 'Z';
  if (args.length === 0) {
    // A kernel thread, or a leader that has ended: only the latter may be a qemu.
    if (!isQemuComm(stat.comm)) return undefined;
    const living = dying ? await argumentsOfTasks(dir, pid) : [];
    return { pid, startTime: stat.startTime, ...parseQemuArguments(living), dying };
  }
  const exe = await exeOf(dir);
  if (!isQemu(args[0], exe === 'hidden' ? stat.comm : exe)) return undefined;
  return { pid, startTime: stat.startTime, ...parseQemuArguments(args), dying };
}

/** A zombie leader's own arguments are empty; a living thread still shows them (F21). */
async function argumentsOfTasks(dir: string, pid: number): Promise<string[]> {
  const tasks = (await reading(() => pidsIn(join(dir, 'task')))) ?? [];
  for (const task of tasks.filter((id) => id !== pid)) {
    const path = join(dir, 'task', String(task), 'cmdline');
    const args = parseCmdline((await reading(() => readFile(path, 'utf8'))) ?? '');
    if (args.length > 0) return args;
  }
  return [];
}

async function statOf(dir: string): Promise<ProcessStat | undefined> {
  const text = await reading(() => readFile(join(dir, 'stat'), 'utf8'));
  if (text === undefined) return undefined;
  const stat = parseStat(text);
  if (stat === undefined) throw new Error(`${dir}/stat can't be understood`);
  return stat;
}

/** Other people's links may be hidden even from root, as in a container; then the name decides. */
async function exeOf(dir: string): Promise<string | undefined> {
  const link = readlink(join(dir, 'exe')).catch((error: unknown) => {
    if (['EACCES', 'EPERM'].includes(errnoOf(error))) return 'hidden' as const;
    throw error;
  });
  return reading(() => link);
}

/** Undefined for "no such process". @throws Error for everything else: then nobody has looked. */
async function reading<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error))) return undefined;
    throw new Error(`can't look at the process table: ${messageOf(error)}`, { cause: error });
  }
}
