import { isoNow, messageOf, type Clock, type Logger, type Timer } from '@fenceline/common';
import type { MessageBus } from '../messages/bus.js';
import type { SettingsSource } from '../settings/settings.js';
import type { Holds } from './holds.js';
import { Probes } from './probe.js';
import type { RefusalCount } from './start/haStart.js';
import { HA_START_TIMEOUT_MS, messageOf as messageOfTask, type HaTask } from './tasks/task.js';
import type { Tasks } from './tasks/tasks.js';

export interface DispatchDeps {
  holds: Pick<Holds, 'ofTasks' | 'ordered'>;
  tasks: Tasks;
  bus: MessageBus;
  settings: SettingsSource;
  clock: Clock;
  log: Logger;
}

/** Sends the next attempt of each task when it is due; never two of one VM, never too many. */
export interface Dispatch {
  start(): Promise<void>;
  stop(): void;
  /** Runs the task's next attempt as soon as there is room; returns at once. */
  dispatch(task: HaTask): Promise<void>;
  /** The same by a person's order: `ha.mode` does not hold it back. */
  ordered(task: HaTask): Promise<void>;
  /** Every waiting task looks again, and its back-off begins anew. */
  clusterChanged(): Promise<void>;
  /** Something was seen of this VM: its task, if it waits, looks again. */
  vmChanged(vmUuid: string): Promise<void>;
  /** Refusals of a task since the cluster changed, counted up. */
  readonly refusals: Required<RefusalCount>;
}

const LOOK_EVERY_MS = 500;
const WAITING = ['waiting', 'refused'];
/** States of an attempt under way: found at start, they were interrupted. */
const UNDER_WAY = ['judging', 'fencing', 'extending', 'marking', 'starting', 'verifying'];

export function makeDispatch(deps: DispatchDeps): Dispatch {
  const { tasks, bus, clock, log } = deps;
  const underWay = new Set<string>();
  const refusals = new Map<string, number>();
  const probes = new Probes();
  let timer: Timer | undefined;
  let stopped = false;

  const run = (task: HaTask): void => {
    if (stopped || underWay.has(task.vmUuid)) return;
    if (underWay.size >= deps.settings.current().ha.restart.inAll) return;
    underWay.add(task.vmUuid);
    void bus.send('HaStartVmInstance', messageOfTask(task)).then((reply) => {
      underWay.delete(task.vmUuid);
      // Held back after all: not before the next look.
      if (reply.error === undefined && reply.vm === undefined) return;
      if (reply.error !== undefined)
        log.debug('an HA start ended without a start', { why: reply.error.message });
      look();
    });
  };

  const act = async (open: readonly HaTask[]): Promise<void> => {
    const left = open.filter((task) => isUnderWay(task) && !underWay.has(task.vmUuid));
    for (const task of await free(deps, dueOf(open, isoNow(clock)))) run(task);
    for (const task of left) await endLeft(deps, task);
    if (!stopped) probeDue(deps, probes, open);
  };

  const look = (): void => {
    if (stopped) return;
    timer?.cancel();
    timer = clock.after(LOOK_EVERY_MS, look);
    tasks
      .open()
      .then(act)
      .catch((error: unknown) => log.error('tasks could not be read', { error: messageOf(error) }));
  };

  return {
    start: async () => {
      await recover(deps);
      timer = clock.after(LOOK_EVERY_MS, look);
    },
    stop: () => {
      stopped = true;
      timer?.cancel();
    },
    dispatch: async (task) => (await free(deps, [task])).forEach(run),
    ordered: async (task) => {
      deps.holds.ordered(task.uuid);
      (await free(deps, [task])).forEach(run);
    },
    clusterChanged: async () => {
      refusals.clear();
      for (const task of await tasks.open()) await wake(tasks, task);
    },
    vmChanged: async (vmUuid) => wake(tasks, await tasks.openTaskOf(vmUuid)),
    refusals: {
      ...countOf(refusals),
      refused: (taskUuid, dying) => probes.note(taskUuid, dying, clock.monotonicMs()),
    },
  };
}

function isUnderWay({ state }: HaTask): boolean {
  return UNDER_WAY.includes(state);
}

function dueOf(open: readonly HaTask[], now: string): HaTask[] {
  return open.filter(
    ({ state, nextTryAt }) => WAITING.includes(state) && nextTryAt !== null && nextTryAt <= now,
  );
}

/** Those that may begin; the others stay as they are, and say what they wait for. */
async function free({ holds, tasks }: DispatchDeps, due: readonly HaTask[]): Promise<HaTask[]> {
  if (due.length === 0) return [];
  const held = await holds.ofTasks(due);
  for (const { uuid, waitsFor } of due) {
    const why = held.get(uuid);
    if (why !== undefined && why !== waitsFor) await tasks.hold(uuid, why);
  }
  return due.filter(({ uuid }) => !held.has(uuid));
}

/** Its attempt is over and could not be written down, as on a full disk: it is now. */
async function endLeft(deps: DispatchDeps, task: HaTask): Promise<void> {
  await interrupted(deps, task).catch((error: unknown) =>
    deps.log.error('a task could not be ended', { taskId: task.uuid, error: messageOf(error) }),
  );
}

/** A task that rests looks again at once. */
async function wake(tasks: Tasks, task: HaTask | undefined): Promise<void> {
  if (task !== undefined && WAITING.includes(task.state)) await tasks.retryNow(task.uuid);
}

/** Looks at what was told to die, between two attempts (F8). */
function probeDue({ bus, clock, settings }: DispatchDeps, probes: Probes, open: readonly HaTask[]) {
  const byUuid = new Map(open.map((task) => [task.uuid, task]));
  probes.keepOnly(byUuid);
  for (const uuid of probes.due(clock.monotonicMs(), settings.current().ha.restart.inAll)) {
    const vmUuid = byUuid.get(uuid)?.vmUuid ?? '';
    const message = { vmUuid, taskId: uuid, timeoutMs: HA_START_TIMEOUT_MS };
    void bus.send('ProbeHaTask', message).then(() => probes.ended(uuid, clock.monotonicMs()));
  }
}

function countOf(refusals: Map<string, number>): Omit<RefusalCount, 'refused'> {
  return {
    next: (taskUuid) => {
      const count = (refusals.get(taskUuid) ?? 0) + 1;
      refusals.set(taskUuid, count);
      return count;
    },
    clear: (taskUuid) => refusals.delete(taskUuid),
  };
}

/**
 * F10: an attempt that a dead server left behind is ended in the history, and its task begins
 * anew. The ledger knows which runs are proven over and which start may be out, so nothing is
 * skipped and nothing is sent twice.
 */
async function recover(deps: DispatchDeps): Promise<void> {
  const { tasks, log } = deps;
  for (const task of await tasks.open()) {
    if (!isUnderWay(task)) continue;
    log.warn('an interrupted HA task begins anew', { taskId: task.uuid, state: task.state });
    await interrupted(deps, task);
  }
}

function interrupted({ tasks }: DispatchDeps, task: HaTask): Promise<void> {
  return tasks.endAttempt(task.uuid, task.attempt, {
    state: 'refused',
    success: false,
    failure: `the attempt was interrupted while the task was ${task.state}; it begins anew`,
    retryInMs: 0,
    ended: false,
    proofDigests: [],
  });
}
