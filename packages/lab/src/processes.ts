import { readFileSync } from 'node:fs';

/** A process that cannot be mistaken for another one that got the same pid later. */
export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly start: number;
}

/** The process that has this pid now; undefined if there is none. A zombie counts as there. */
export function identify(pid: number): ProcessId | undefined {
  const fields = statFields(pid);
  return fields && { pid, start: Number(fields[19]) };
}

/** A zombie counts as alive: its threads may still run, or wait for their storage. */
export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.start === id.start;
}

/** Alive and no zombie. For processes that have no storage of the lab to wait for. */
export function isRunning(id: ProcessId): boolean {
  const fields = statFields(id.pid);
  return fields !== undefined && Number(fields[19]) === id.start && fields[0] !== 'Z';
}

/** The fields of /proc/PID/stat from the third on. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name in field 2 may hold blanks and brackets: count from its end.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Sends SIGKILL to just this process; false if it was gone already. */
export function killProcess(id: ProcessId): boolean {
  // safety: a pid from a note may be somebody else's by now; only the start time tells
  if (!isAlive(id)) return false;
  try {
    return process.kill(id.pid, 'SIGKILL');
  } catch {
    return false;
  }
}
