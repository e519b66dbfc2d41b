import { sleep, type Clock } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { ConfirmDeadService, TasksService } from '../api/services.js';
import { proofByOperator } from '../fencing/proofs/byOperator.js';
import type { HostDirectory, HostInfo, HostPresence } from '../hosts/contracts.js';
import type { SettingsSource } from '../settings/settings.js';
import type { Events } from '../telemetry/events.js';
import type { Ledger } from '../vms/runs/ledger.js';
import { runName } from '../vms/runs/run.js';
import type { Dispatch } from './dispatch.js';
import type { Holds } from './holds.js';
import type { HaTask } from './tasks/task.js';
import type { Tasks } from './tasks/tasks.js';

export interface TasksServiceDeps {
  tasks: Tasks;
  dispatch: Dispatch;
  holds: Pick<Holds, 'givesUp'>;
  ledger: Ledger;
  events: Events;
  clock: Clock;
}

/** An attempt that is called off ends sooner, but for an order to a power device. */
const CALL_OFF_LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 100;

/** What people do with HA tasks. */
export function makeTasksService(deps: TasksServiceDeps): TasksService {
  const { tasks, dispatch, events } = deps;
  const open = async (taskUuid: string) => {
    const task = await tasks.find(taskUuid);
    if (task === undefined) throw new DomainError('NOT_FOUND', `no HA task ${taskUuid}`);
    if (task.endedAt !== null)
      throw new DomainError('CONFLICT', `HA task ${taskUuid} has ended (${task.state})`);
    return task;
  };
  return {
    retry: async (taskUuid) => {
      const task = await open(taskUuid);
      dispatch.refusals.clear(taskUuid);
      await tasks.retryNow(taskUuid);
      await dispatch.ordered(task);
    },
    abandon: async (taskUuid, { reason, actor }) => {
      const task = await open(taskUuid);
      await refuseStartOut(deps, task);
      // What is under way is called off before its next step; no further attempt begins.
      const release = deps.holds.givesUp(taskUuid);
      try {
        await endCalledOff(deps, task, `abandoned by ${actor.name}: ${reason}`);
      } finally {
        release();
      }
      await events.record({
        kind: 'ha.task.abandoned',
        severity: 'warning',
        vmUuid: task.vmUuid,
        taskUuid,
        text: `an HA task was abandoned by ${actor.name}: ${reason}`,
      });
    },
  };
}

/** @throws DomainError REFUSED if it is still under way when the time is up. */
async function endCalledOff(deps: TasksServiceDeps, task: HaTask, failure: string): Promise<void> {
  const { tasks, clock } = deps;
  const end = { state: 'abandoned' as const, success: false, failure, ended: true };
  const untilMs = clock.monotonicMs() + CALL_OFF_LIMIT_MS;
  for (;;) {
    // A start that was granted before this word was heard.
    await refuseStartOut(deps, task);
    if (await tasks.endAtRest(task.uuid, { ...end, proofDigests: [] })) return;
    const now = await tasks.find(task.uuid);
    if (now === undefined || now.endedAt !== null)
      throw new DomainError(
        'CONFLICT',
        `HA task ${task.uuid} has ended meanwhile (${now?.state ?? 'gone'})`,
      );
    if (clock.monotonicMs() >= untilMs)
      throw new DomainError(
        'REFUSED',
        `an attempt is under way (number ${now.attempt}, ${now.state}) that could not be called off ` +
          `within ${CALL_OFF_LIMIT_MS / 1_000} s, and it goes on: try again in a moment`,
      );
    await sleep(clock, LOOK_EVERY_MS);
  }
}

/** safety: F33: whoever gives a task up must not believe that nothing of it was started. */
async function refuseStartOut({ ledger }: TasksServiceDeps, task: HaTask): Promise<void> {
  const maybe = (await ledger.openRuns(task.vmUuid)).find((run) => run.state === 'maybe');
  if (maybe === undefined) return;
  throw new DomainError(
    'REFUSED',
    `its start command may have left: ${runName(maybe)} is neither seen running nor proven over`,
  );
}

export interface ConfirmDeadDeps {
  ledger: Ledger;
  directory: HostDirectory;
  presence: HostPresence;
  settings: SettingsSource;
  clock: Clock;
  /** Monotonic time at which this server began to watch: nothing is known from before. */
  watchingSinceMs: number;
  dispatch: Dispatch;
  events: Events;
}

/** `confirm-dead`: a person's word closes every open run of a host that is silent for long. */
export function makeConfirmDeadService(deps: ConfirmDeadDeps): ConfirmDeadService {
  return {
    confirmDead: async ({ hostUuid, reason, actor }) => {
      const host = await deps.directory.find(hostUuid);
      if (host === undefined) throw new DomainError('NOT_FOUND', `no host ${hostUuid}`);
      const vmUuids: string[] = [];
      const { operator } = deps.settings.current().ha;
      for (const run of await deps.ledger.openRunsOnHost(hostUuid)) {
        const lookedAtMs = deps.clock.monotonicMs();
        const judged = proofByOperator(run, {
          operator: actor.name,
          reason,
          typedName: host.name,
          hostName: host.name,
          silentForMs: silentFor(deps, host),
          requiredSilenceMs: operator.confirmDeadAfterSec * 1_000,
          expiresAfterSec: operator.confirmDeadExpiresSec,
          lookedAtMs,
        });
        if ('refused' in judged)
          throw new DomainError(
            'REFUSED',
            `${host.name} can't be confirmed dead: ${judged.refused}`,
          );
        await deps.ledger.close(judged.proof, null);
        vmUuids.push(run.vmUuid);
      }
      await deps.events.record({
        kind: 'host.confirmedDead',
        severity: 'warning',
        hostUuid,
        text: `${actor.name} confirmed that ${host.name} is dead: ${reason}`,
        facts: { vms: vmUuids.length },
      });
      await deps.dispatch.clusterChanged();
      const expiresMs = deps.clock.wallMs() + operator.confirmDeadExpiresSec * 1_000;
      return { vmUuids, expiresAt: new Date(expiresMs).toISOString() };
    },
  };
}

/**
 * safety: a server that has just started knows of no sign of life, which is not the same as a
 * silent host: the silence counts from its own start at the earliest.
 */
function silentFor({ presence, clock, watchingSinceMs }: ConfirmDeadDeps, host: HostInfo): number {
  const last = presence.lastSignOfLifeMs(host.uuid) ?? watchingSinceMs;
  return clock.monotonicMs() - Math.max(last, watchingSinceMs);
}
