import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../errno.js';
import { parseStat, type ProcessStat } from '../../vms/parseProcess.js';
import type { DaemonProcess, LibvirtDaemon } from '../daemon.js';
import { whatOfHost, type LikeDaemon } from '../daemonRules.js';

const PROGRAM = /\/(?:libvirtd|virtqemud)(?: \(deleted\))?$/;
/** Ticks per second in /proc, on every architecture that runs KVM. */
const TICKS = 100;

/** @param pidFiles where it writes its pid; the first one that names such a daemon counts. */
export function procDaemon(pidFiles: readonly string[], proc = '/proc'): LibvirtDaemon {
  const daemonAt = (pid: number) => daemonIn(proc, pid);
  return {
    find: async () => {
      for (const file of pidFiles) {
        const pid = Number((await textOf(file))?.trim());
        const daemon = Number.isInteger(pid) && pid > 1 ? await daemonAt(pid) : undefined;
        if (daemon !== undefined) return daemon;
      }
      return undefined;
    },
    lookAlikes: async (daemon) => {
      let count = 0;
      for (const name of await readdir(proc)) {
        if (!/^\d+$/.test(name) || Number(name) === daemon.pid) continue;
        const like = await likeDaemon(join(proc, name));
        // safety: F34: a user's session daemon becomes no qemu of this host's, and is there for hours
        if (like !== undefined && whatOfHost(like) !== 'neither') count += 1;
      }
      return count;
    },
    signal: async (daemon, signal) => {
      const now = await daemonAt(daemon.pid);
      if (now?.startTime !== daemon.startTime) return false;
      process.kill(daemon.pid, `SIG${signal}`);
      return true;
    },
  };
}

async function daemonIn(proc: string, pid: number): Promise<DaemonProcess | undefined> {
  const like = await likeDaemon(join(proc, String(pid)));
  // safety: I3: a pid file may be old, and its number a user's session daemon's by now
  if (like === undefined || whatOfHost(like) !== 'daemon') return undefined;
  const { startTime } = like.stat;
  const upSec = Number((await readFile(join(proc, 'uptime'), 'utf8')).split(' ')[0]);
  return { pid, startTime, ageMs: upSec * 1_000 - (startTime / TICKS) * 1_000 };
}

/** A process that runs the daemon's program; undefined: it doesn't, or is gone. */
async function likeDaemon(dir: string): Promise<(LikeDaemon & { stat: ProcessStat }) | undefined> {
  if (!(await runsDaemon(dir))) return undefined;
  const status = await textOf(join(dir, 'status'));
  const stat = parseStat((await textOf(join(dir, 'stat'))) ?? '');
  return status === undefined || stat === undefined ? undefined : { status, stat };
}

async function runsDaemon(dir: string): Promise<boolean> {
  try {
    return PROGRAM.test(await readlink(join(dir, 'exe')));
  } catch (error) {
    // A kernel thread has none, either.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return false;
    throw error;
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}
