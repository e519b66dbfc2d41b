import { open, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { asError, makeKeyedQueue, messageOf, type KeyedQueue } from '@fenceline/common';
import { dashed, DomainError, isUuid, type KnownRun } from '@fenceline/protocol';
import { errnoOf } from '../../errno.js';
import type { Grant, HostState, RunRecord } from '../hostState.js';
import { larger } from '../memoryHostState.js';

/** Longest a write to the disk may take before a barrier counts as in memory only. */
const DISK_LIMIT_MS = 2_000;

export interface FileHostStateOptions {
  /** On a tmpfs: gone after a reboot. */
  runDir: string;
  /** On a local disk. */
  stateDir: string;
  diskLimitMs?: number;
}

/** The records as small files, one line each, shared with the fence program. */
export function fileHostState(options: FileHostStateOptions): HostState {
  const { runDir, stateDir } = options;
  const one = makeKeyedQueue(256);
  const inRun = (kind: string, vmUuid: string): string => join(runDir, kind, dashed(vmUuid));
  const inState = (kind: string, vmUuid: string): string => join(stateDir, kind, dashed(vmUuid));
  /** Raises a number in a file; two raises of one file never cross. */
  const raise = (path: string, epoch: number, sync: boolean): Promise<void> =>
    one.run(path, async () => {
      const now = await readNumber(path);
      if (now === undefined || now < epoch) await writeLine(path, String(epoch), sync);
    });
  // safety: the fence program raises its barriers under a lock that is not ours to take; in files of
  // our own, two raises at one moment can't undo each other. What counts is the largest.
  const ownBarriers = (vmUuid: string): [string, string] => [
    inRun('agent-barriers', vmUuid),
    inState('agent-barriers', vmUuid),
  ];
  const allBarriers = (vmUuid: string): string[] => [
    ...ownBarriers(vmUuid),
    inRun('barriers', vmUuid),
    inState('barriers', vmUuid),
  ];

  return {
    identity: async () => {
      const kept = await readLine(join(stateDir, 'host'));
      const seeded = await readLine(join(stateDir, 'seeded'));
      const hostUuid = kept ?? (await readLine(join(runDir, 'host')));
      return { hostUuid, seeded: kept !== undefined && seeded === kept };
    },
    adopt: (hostUuid, runs) => one.run('adopt', () => adopt(options, { hostUuid, runs, raise })),
    barrier: async (vmUuid) => {
      let highest: number | undefined;
      for (const file of allBarriers(vmUuid)) highest = larger(highest, await readNumber(file));
      return highest;
    },
    raiseBarrier: async (vmUuid, epoch) => {
      const [run, state] = ownBarriers(vmUuid);
      await raise(run, epoch, false);
      const synced = raise(state, epoch, true).then(
        () => 'disk' as const,
        () => 'memory' as const,
      );
      return Promise.race([synced, afterMs(options.diskLimitMs ?? DISK_LIMIT_MS)]);
    },
    began: (vmUuid) => readNumber(inState('began', vmUuid)),
    // safety: synced before qemu can exist, or a crash here would let this epoch start twice (F11).
    recordBegan: (vmUuid, epoch) => raise(inState('began', vmUuid), epoch, true),
    ...fileGrants(join(runDir, 'grants'), one),
    runs: () => readRecords(join(runDir, 'runs')),
    recordRun: (vmUuid, run) => writeLine(inRun('runs', vmUuid), lineOf(run), false),
  };
}

/** Starts under way, a file each; a record is written and dropped one at a time. */
function fileGrants(
  dir: string,
  one: KeyedQueue,
): Pick<HostState, 'grants' | 'writeGrant' | 'dropGrant'> {
  const pathOf = ({ vmUuid }: Grant): string => join(dir, dashed(vmUuid));
  return {
    grants: async () =>
      [...(await readRecords(dir))].map(([vmUuid, record]): Grant => ({ vmUuid, ...record })),
    writeGrant: (grant) =>
      one.run(pathOf(grant), () => writeLine(pathOf(grant), lineOf(grant), false)),
    dropGrant: (grant) =>
      one.run(pathOf(grant), async () => {
        if ((await readLine(pathOf(grant))) === lineOf(grant))
          await rm(pathOf(grant), { force: true });
      }),
  };
}

const lineOf = ({ epoch, pid, startTime }: RunRecord): string => `${epoch} ${pid} ${startTime}`;

interface Adoption {
  hostUuid: string;
  runs: readonly KnownRun[] | undefined;
  raise: (path: string, epoch: number, sync: boolean) => Promise<void>;
}

async function adopt({ stateDir, runDir }: FileHostStateOptions, a: Adoption): Promise<void> {
  const hostUuid = dashed(a.hostUuid);
  const whole = await readLine(join(stateDir, 'seeded'));
  if (a.runs !== undefined && whole !== hostUuid)
    for (const { vmUuid, epoch } of a.runs)
      await a.raise(join(stateDir, 'began', dashed(vmUuid)), epoch, true);
  await writeOnce(join(stateDir, 'host'), hostUuid, true);
  await writeOnce(join(runDir, 'host'), hostUuid, false);
  // safety: last, when every epoch of the seed is on disk: this file says that the record is whole.
  if (a.runs !== undefined) await writeOnce(join(stateDir, 'seeded'), hostUuid, true);
}

async function writeOnce(path: string, line: string, sync: boolean): Promise<void> {
  if ((await readLine(path)) !== line) await writeLine(path, line, sync);
}

async function readLine(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw unreadable(path, messageOf(error));
  }
}

async function readNumber(path: string): Promise<number | undefined> {
  const line = await readLine(path);
  if (line === undefined) return undefined;
  // safety: a record that can't be understood must not read as "no barrier" or "never began".
  if (!/^\d{1,15}$/.test(line)) throw unreadable(path, 'not a number');
  return Number(line);
}

async function readRecords(dir: string): Promise<Map<string, RunRecord>> {
  const records = new Map<string, RunRecord>();
  for (const name of await filesIn(dir)) {
    if (!isUuid(name)) continue;
    const line = await readLine(join(dir, name));
    if (line === undefined) continue;
    if (!/^\d{1,15} \d{1,10} \d{1,15}$/.test(line)) throw unreadable(join(dir, name), 'no record');
    const [epoch = 0, pid = 0, startTime = 0] = line.split(' ').map(Number);
    records.set(name, { epoch, pid, startTime });
  }
  return records;
}

async function filesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw unreadable(dir, messageOf(error));
  }
}

let temporary = 0;

/** Temporary file, then rename: a reader sees the old line or the new one, never half of one. */
async function writeLine(path: string, line: string, sync: boolean): Promise<void> {
  temporary += 1;
  const next = join(dirname(path), `.${process.pid}.${temporary}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeSynced(next, `${line}\n`, sync);
    await rename(next, path);
    if (sync) await syncDirectory(dirname(path));
  } catch (error) {
    await rm(next, { force: true }).catch(asError);
    throw new DomainError('INTERNAL', `can't write ${path}: ${messageOf(error)}`, { path });
  }
}

async function writeSynced(path: string, text: string, sync: boolean): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function afterMs(ms: number): Promise<'memory'> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('memory'), ms).unref();
  });
}

function unreadable(path: string, why: string): DomainError {
  return new DomainError('INTERNAL', `can't read the record ${path}: ${why}`, { path });
}
