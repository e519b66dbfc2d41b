import { readdir, readFile, readlink } from 'node:fs/promises';
import { errnoOf } from '../../errno.js';
import { parseStat } from '../../vms/parseProcess.js';
import type { DaemonProcess, LibvirtDaemon } from '../daemon.js';

const PROGRAM = /\/(?:libvirtd|virtqemud)(?: \(deleted\))?$/;
/** Ticks per second in /proc, on every architecture that runs KVM. */
const TICKS = 100;

/** @param pidFiles where it writes its pid; the first one that names such a daemon counts. */
export function procDaemon(pidFiles: readonly string[]): LibvirtDaemon {
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
      for (const name of await readdir('/proc'))
        if (/^\d+$/.test(name) && Number(name) !== daemon.pid && (await runsDaemon(name)))
          count += 1;
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

async function daemonAt(pid: number): Promise<DaemonProcess | undefined> {
  if (!(await runsDaemon(String(pid)))) return undefined;
  const stat = await textOf(`/proc/${pid}/stat`);
  const startTime = stat === undefined ? undefined : parseStat(stat)?.startTime;
  if (startTime === undefined) return undefined;
  const upSec = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]);
  return { pid, startTime, ageMs: upSec * 1_000 - (startTime / TICKS) * 1_000 };
}

async function runsDaemon(pid: string): Promise<boolean> {
  try {
    return PROGRAM.test(await readlink(`/proc/${pid}/exe`));
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
