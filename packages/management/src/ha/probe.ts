import { raceChannels } from '../fencing/channels/race.js';
import type { ChannelName } from '../settings/settings.js';
import type { Run } from '../vms/runs/run.js';
import { findVm } from '../vms/vm.js';
import type { HaStartDeps } from './start/context.js';
import { callOffWhen } from './start/heldBack.js';
import { tellProof } from './start/tellProof.js';
import type { HaTask } from './tasks/task.js';

/** Between two looks at a qemu that was told to die and could not, as its storage hangs. */
export const PROBE_EVERY_MS = 10_000;

/** What a probe may use: the order that was given before, once more; never anything stronger. */
const PROBE_CHANNELS: readonly ChannelName[] = ['peer'];
const AT_REST: readonly string[] = ['refused', 'waiting'];

/**
 * Looks once more whether the runs of a refused task are over by now, between its attempts: a qemu
 * that hung in its storage ends when that comes back, and nobody else may be there to tell.
 * No attempt, no history row; a proof closes its run, and the task is due at once.
 */
export async function probeTask(
  deps: HaStartDeps,
  taskUuid: string,
  signal: AbortSignal,
): Promise<void> {
  const task = await deps.tasks.find(taskUuid);
  if (task === undefined || !AT_REST.includes(task.state)) return;
  const open = await deps.ledger.openRuns(task.vmUuid);
  for (const run of open) {
    // safety: a host that came back may run its VM in good health; only an attempt may decide then,
    // which asks the host first.
    if (deps.judgementOf(run.hostUuid)?.action !== 'fence') return;
  }
  for (const run of open) if (!(await probeRun(deps, { task, run, signal }))) return;
  if (open.length > 0) await deps.tasks.retryNow(task.uuid);
}

async function probeRun(
  deps: HaStartDeps,
  { task, run, signal }: { task: HaTask; run: Run; signal: AbortSignal },
): Promise<boolean> {
  const vm = await findVm(deps.store.db, run.vmUuid);
  if (vm === undefined) return false;
  const clusterUuid = (await deps.directory.find(run.hostUuid))?.clusterUuid ?? vm.clusterUuid;
  const heldBack = (): string | undefined => {
    const resting = deps.holds.mode(task.uuid, [vm.clusterUuid, clusterUuid]);
    if (resting !== undefined) return resting;
    const word = deps.judgementOf(run.hostUuid)?.action;
    return word === 'fence' ? undefined : 'its host is not judged to be fenced';
  };
  const off = callOffWhen(deps.clock, heldBack);
  const allowed = deps.settings.current(clusterUuid).ha.preFence.channels;
  const policy = PROBE_CHANNELS.filter((name) => allowed.includes(name));
  const raced = await raceChannels(deps.channels, policy, {
    request: {
      ...{ run, vm, clusterUuid, taskUuid: task.uuid, siblingHostUuids: task.siblingHostUuids },
      judgementNow: () => deps.judgementOf(run.hostUuid),
      ...{ heldBack, sparing: true },
    },
    ...{ signal, calledOff: off.signal },
  }).finally(off.stop);
  if (raced.proof === undefined) return false;
  const stored = await deps.ledger.close(raced.proof, task.uuid);
  await tellProof(deps, { vm, task, raced, stored });
  return true;
}

/** Which refused tasks are worth a look between their attempts, and when it is time for one. */
export class Probes {
  readonly #lastMs = new Map<string, number>();
  readonly #underWay = new Set<string>();

  /** The attempt ended with a qemu that was told to die and is still there, or not. */
  note(taskUuid: string, dying: boolean, nowMs: number): void {
    if (dying) this.#lastMs.set(taskUuid, nowMs);
    else this.#lastMs.delete(taskUuid);
  }

  /** Tasks whose look is due; each once until it has ended. */
  due(nowMs: number, limit: number): string[] {
    const due = [...this.#lastMs]
      .filter(([task, lastMs]) => !this.#underWay.has(task) && nowMs - lastMs >= PROBE_EVERY_MS)
      .slice(0, Math.max(0, limit - this.#underWay.size))
      .map(([task]) => task);
    for (const task of due) this.#underWay.add(task);
    return due;
  }

  ended(taskUuid: string, nowMs: number): void {
    this.#underWay.delete(taskUuid);
    if (this.#lastMs.has(taskUuid)) this.#lastMs.set(taskUuid, nowMs);
  }

  /** Of tasks that are open no more. */
  keepOnly(open: ReadonlyMap<string, unknown>): void {
    for (const task of this.#lastMs.keys()) if (!open.has(task)) this.#lastMs.delete(task);
  }
}
