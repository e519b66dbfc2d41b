import { flow, FlowError, runFlow, type FlowObserver } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { HaStartVmInstanceMsg, HaStartVmInstanceReply } from '../../messages/types.js';
import type { TaskState } from '../../store/schema.js';
import { findVm } from '../../vms/vm.js';
import { judge } from '../judgers.js';
import { retryDelayMs, type HaTask } from '../tasks/task.js';
import type { AttemptEnd, EndStep } from '../tasks/tasks.js';
import { HaCalledOff, HaRefusal, type Attempt, type HaStartDeps } from './context.js';
import { beforeHaStart, markVmStopped } from './mark.js';
import { preFenceVm } from './preFence.js';
import { startHaVm } from './startVm.js';

/** The four flows of an HA start, in this order (F1). */
export const haStartFlow = flow<Attempt>('ha-start-vm', [
  { name: 'ha-pre-fence-vm', run: preFenceVm },
  beforeHaStart,
  markVmStopped,
  { name: 'start-ha-vm', skip: ({ adopted }) => adopted !== undefined, run: startHaVm },
]);

const STATE_OF_STEP: Record<string, TaskState> = {
  'ha-pre-fence-vm': 'fencing',
  'before-ha-start-vm-instance': 'extending',
  'mark-vm-stopped-and-save-last-host': 'marking',
  'start-ha-vm': 'starting',
};

/** Counts the refusals of a task since the cluster last changed. */
export interface RefusalCount {
  next(taskUuid: string): number;
  clear(taskUuid: string): void;
  /** A task was refused; `dying`: a qemu was told to die and is still there. */
  refused?(taskUuid: string, dying: boolean): void;
}

/**
 * Handles one `HaStartVmInstance` in the VM's queue slot: judge, one attempt, one history row,
 * ended once.
 * @throws DomainError REFUSED with the refusal's text.
 */
export async function haStart(
  deps: HaStartDeps & { refusals: RefusalCount },
  message: HaStartVmInstanceMsg,
  signal: AbortSignal,
): Promise<HaStartVmInstanceReply> {
  const vm = await findVm(deps.store.db, message.vmUuid);
  if (vm === undefined) throw new DomainError('NOT_FOUND', `no VM ${message.vmUuid}`);
  const there = await taskOf(deps, message);
  const word = judge(vm, message);
  if (word.decision === 'leave') {
    if (there !== undefined) await deps.tasks.endAttempt(there.uuid, 0, cancelled(word.why));
    return {};
  }
  const created = there ?? (await deps.tasks.openOrCreate({ ...message }));
  const held = await deps.holds.attempt(created.uuid, vm.clusterUuid);
  if (held !== undefined) {
    await deps.tasks.hold(created.uuid, held);
    return {};
  }
  const task = await deps.tasks.beginAttempt(created.uuid);
  const log = deps.log.child({ taskId: task.uuid }, `[HA start vm=${vm.uuid}]`);
  const attempt: Attempt = {
    deps,
    message,
    task,
    vm,
    log,
    signal,
    suspects: [],
    gone: new Set(),
    proofDigests: [],
  };
  try {
    await runFlow(haStartFlow, attempt, { log, observer: recorderOf(attempt) });
    return await succeeded(attempt, deps.refusals);
  } catch (thrown) {
    throw await refused(attempt, deps.refusals, thrown);
  }
}

async function taskOf(
  { tasks }: HaStartDeps,
  message: HaStartVmInstanceMsg,
): Promise<HaTask | undefined> {
  if (message.taskId === undefined) return tasks.openTaskOf(message.vmUuid);
  const task = await tasks.find(message.taskId);
  if (task === undefined || task.endedAt !== null)
    throw new DomainError('CONFLICT', `HA task ${message.taskId} has ended`);
  return task;
}

/** Writes each flow's step to the store before it acts, and its end after (F10). */
function recorderOf({ deps, task }: Attempt): FlowObserver {
  const ends = new Map<string, EndStep>();
  return {
    before: async (step) => {
      await deps.tasks.setState(task.uuid, STATE_OF_STEP[step] ?? 'judging');
      ends.set(step, await deps.tasks.beginStep(task, step));
    },
    after: async (step, result) => {
      const end = ends.get(step) ?? (await deps.tasks.beginStep(task, step));
      await end(result);
    },
  };
}

async function succeeded(
  attempt: Attempt,
  refusals: RefusalCount,
): Promise<HaStartVmInstanceReply> {
  const { deps, vm, task, adopted } = attempt;
  const where = attempt.started ?? adopted;
  refusals.clear(task.uuid);
  await deps.tasks.endAttempt(task.uuid, task.attempt, {
    state: adopted === undefined ? 'done' : 'cancelled',
    success: true,
    destinationHostUuid: where?.hostUuid,
    ...(adopted === undefined ? {} : { failure: 'it already runs where the ledger says' }),
    ended: true,
    proofDigests: attempt.proofDigests,
  });
  await deps.events.record({
    kind: adopted === undefined ? 'ha.task.done' : 'ha.task.cancelled',
    hostUuid: where?.hostUuid,
    vmUuid: vm.uuid,
    taskUuid: task.uuid,
    text:
      adopted === undefined
        ? `VM ${vm.name} runs again`
        : `VM ${vm.name} was found running where it belongs; nothing was done`,
  });
  return where === undefined ? {} : { vm: { uuid: vm.uuid, ...where } };
}

async function refused(
  attempt: Attempt,
  refusals: RefusalCount,
  thrown: unknown,
): Promise<DomainError> {
  const { deps, vm, task } = attempt;
  const why = thrown instanceof FlowError ? thrown.why : thrown;
  const text = why instanceof Error ? why.message : String(why);
  const waysOut = why instanceof HaRefusal ? why.waysOut : [];
  const stale = why instanceof DomainError && why.code === 'STALE_EPOCH';
  const calledOff = why instanceof HaCalledOff;
  refusals.refused?.(task.uuid, why instanceof HaRefusal && why.dying);
  const { backoffMin } = deps.settings.current().ha.restart;
  // What called it off is a change: it is looked at anew, as after any other one (D10).
  const retryInMs = calledOff ? 0 : retryDelayMs(backoffMin, refusals.next(task.uuid));
  await deps.tasks.endAttempt(task.uuid, task.attempt, {
    state: 'refused',
    success: false,
    failure: text,
    waysOut,
    ...(stale ? {} : { retryInMs }),
    ended: stale,
    proofDigests: attempt.proofDigests,
  });
  await deps.events.record({
    kind: calledOff ? 'ha.task.calledOff' : 'ha.task.refused',
    severity: calledOff ? 'warning' : 'critical',
    vmUuid: vm.uuid,
    taskUuid: task.uuid,
    text,
    facts: { attempt: task.attempt, retryInMs, waysOut: waysOut.join(' | ') },
  });
  return new DomainError('REFUSED', text, { taskUuid: task.uuid });
}

function cancelled(why: string): AttemptEnd {
  return { state: 'cancelled', success: false, failure: why, ended: true, proofDigests: [] };
}
