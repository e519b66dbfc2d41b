import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cgroupLayout, NodeGroup, nodesWithGroups, removeLabGroup } from './cgroups.js';
import { until } from './limits.js';
import type { LabPaths } from './plan/paths.js';
import { isAlive, isRunning, killProcess, type ProcessId } from './processes.js';
import type { LabState } from './requests.js';

/** Exit code of a daemon that finds another one serving its directory. */
export const servedAlready = 3;

/** The lab's note of its processes; undefined if there is none that can be read. */
export function readState(paths: LabPaths): LabState | undefined {
  try {
    return JSON.parse(readFileSync(paths.state, 'utf8')) as LabState;
  } catch {
    return undefined;
  }
}

export function writeState(paths: LabPaths, state: LabState): void {
  writeFileSync(`${paths.state}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${paths.state}.new`, paths.state);
}

/** The lab that runs in this directory; undefined if none does, or it is about to end. */
export function runningLab(paths: LabPaths): LabState | undefined {
  const state = readState(paths);
  return state && !state.ending && isRunning(state.daemon) ? state : undefined;
}

/** The daemon of this directory; one that starts, or is about to end, has no state but the lock. */
export function daemonOf(paths: LabPaths): ProcessId | undefined {
  const holder = readHolder(paths.daemonLock);
  return holder && isRunning(holder) ? holder : undefined;
}

export function readHolder(lock: string): ProcessId | undefined {
  try {
    return JSON.parse(readFileSync(lock, 'utf8')) as ProcessId;
  } catch {
    return undefined;
  }
}

/**
 * Waits until that process is really gone: to its last moment it holds the lock, and takes files of
 * its own away. @throws LabError after 20 s.
 */
export async function waitForEnd(daemon: ProcessId): Promise<void> {
  const gone = () => !isRunning(daemon);
  await until(gone, { limitMs: 20_000, what: "the lab's daemon to end", everyMs: 5 });
}

/** Waits until a daemon serves this directory or none is there. @throws LabError after 30 s. */
export async function waitUntilClear(paths: LabPaths): Promise<void> {
  const clear = () => runningLab(paths) !== undefined || daemonOf(paths) === undefined;
  await until(clear, { limitMs: 30_000, what: "the lab's daemon to start or to end", everyMs: 5 });
}

/**
 * Ends what an earlier run of this very lab directory has left: the processes it noted, whatever
 * is in its control groups, and its sockets. Call it only when its daemon is dead.
 */
export async function cleanUpLeftovers(paths: LabPaths): Promise<void> {
  const state = readState(paths);
  const noted: ProcessId[] = Object.values(state?.nodes ?? {})
    .flatMap((node) => [node?.storage, node?.init])
    .filter((id) => id !== undefined);
  for (const id of noted) killProcess(id);
  const layout = cgroupLayout(readFileSync('/proc/mounts', 'utf8'));
  for (const name of nodesWithGroups(layout, paths.groupName)) {
    const group = new NodeGroup(layout, paths.groupName, name);
    await group.killAll(10_000);
    await group.remove();
  }
  removeLabGroup(layout, paths.groupName);
  await until(() => !noted.some(isAlive), { limitMs: 10_000, what: 'leftovers to end' });
  for (const file of [paths.state, paths.daemonSocket, paths.powerSocket])
    rmSync(file, { force: true });
}
