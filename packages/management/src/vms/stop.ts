import { DomainError } from '@fenceline/protocol';
import type { CloseOnHost } from '../fencing/channels/ownAgent.js';
import type { Tasks } from '../ha/tasks/tasks.js';
import type { HostDirectory } from '../hosts/contracts.js';
import type { StopVmInstanceMsg } from '../messages/types.js';
import type { Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import type { Ledger } from './runs/ledger.js';
import type { Run } from './runs/run.js';
import { findVm, type Vm } from './vm.js';

export interface StopDeps {
  store: Store;
  ledger: Ledger;
  tasks: Pick<Tasks, 'openTaskOf' | 'endAttempt'>;
  events: Events;
  directory: HostDirectory;
  closeOnHost: CloseOnHost;
}

/**
 * A person's stop: the wish is durable first, so that HA leaves the VM alone from then on; then
 * every open run is closed by its own host (`cleanStop`). If this server dies in between,
 * `UnfinishedStops` finds the wish.
 * @throws DomainError REFUSED if a run is not proven over.
 */
export async function stopVm(deps: StopDeps, message: StopVmInstanceMsg): Promise<void> {
  const vm = await findVm(deps.store.db, message.vmUuid);
  if (vm === undefined) throw new DomainError('NOT_FOUND', `no VM ${message.vmUuid}`);
  // safety: a server that dies after the order must not bring back what it has stopped.
  await setWish(deps.store, vm, { stopped: true });
  const ended = await closeRuns(deps, vm, message.gracefulMs);
  const left = ended.find(({ why }) => why !== undefined);
  if (left === undefined) return stopped(deps, vm);
  // Refused means that the VM may run: HA goes on to guard it, or to bring it back.
  await setWish(deps.store, vm, { stopped: false });
  // Of two copies the one that is gone is not where it is looked for.
  if (ended.some(({ run, why }) => run.hostUuid === vm.hostUuid && why === undefined))
    await showOn(deps.store, vm, left.run.hostUuid);
  throw await notStopped(deps, vm, ended);
}

async function showOn({ db }: Store, { uuid }: Vm, hostUuid: string): Promise<void> {
  await db.updateTable('vms').set({ hostUuid }).where('uuid', '=', uuid).execute();
}

export async function setWish(
  { db }: Store,
  vm: Pick<Vm, 'uuid'>,
  { stopped: wish }: { stopped: boolean },
): Promise<void> {
  const stoppedByPerson = wish ? 1 : 0;
  await db.updateTable('vms').set({ stoppedByPerson }).where('uuid', '=', vm.uuid).execute();
}

/** What became of a stop on each host: `why` it is not proven over there; undefined: it is. */
export interface StoppedRun {
  run: Run;
  why: string | undefined;
}

/**
 * Stops it wherever it runs, on all hosts side by side.
 * safety: I1: two copies write to one disk until both are gone; a host that refuses, or does not
 * answer, keeps no other from ending its own.
 */
export async function closeRuns(deps: StopDeps, vm: Vm, gracefulMs: number): Promise<StoppedRun[]> {
  const open = await deps.ledger.openRuns(vm.uuid);
  const ended = await Promise.allSettled(
    open.map(async (run): Promise<StoppedRun> => {
      const judged = await deps.closeOnHost(run, vm, { stop: true, gracefulMs, taskUuid: null });
      if ('refused' in judged) return { run, why: judged.refused };
      await deps.ledger.close(judged.proof, null);
      return { run, why: undefined };
    }),
  );
  // Only the store throws; not before every order has ended.
  return ended.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
}

/** Every one of them is told apart, as each may be a qemu that still writes. */
async function notStopped(
  { directory }: StopDeps,
  vm: Vm,
  ended: readonly StoppedRun[],
): Promise<DomainError> {
  const names = new Map((await directory.all()).map(({ uuid, name }) => [uuid, name]));
  const nameOf = ({ hostUuid, epoch }: Run): string =>
    `${names.get(hostUuid) ?? hostUuid} (run ${epoch})`;
  const each = ended.map(({ run, why }) =>
    why === undefined
      ? `it is proven stopped on ${nameOf(run)}`
      : `it is not proven stopped on ${nameOf(run)}: ${why}`,
  );
  return new DomainError(
    'REFUSED',
    `VM ${vm.name} may still run, so HA stays in charge of it: ${each.join('; ')}`,
  );
}

/** Every run is proven over: it is shown so, and nobody is at work to bring it back. */
export async function stopped(deps: StopDeps, vm: Vm): Promise<void> {
  const { store, tasks, events } = deps;
  const text = `VM ${vm.name} was stopped by a person`;
  const task = await tasks.openTaskOf(vm.uuid);
  // Starts and stops of a VM wait for each other, so it rests: an older wish than this one.
  if (task !== undefined)
    await tasks.endAttempt(task.uuid, task.attempt, {
      ...{ state: 'cancelled', success: false, failure: text },
      ...{ ended: true, proofDigests: [] },
    });
  const lastHostUuid = vm.hostUuid ?? vm.lastHostUuid;
  await store.db
    .updateTable('vms')
    .set({ state: 'Stopped', hostUuid: null, lastHostUuid })
    .where('uuid', '=', vm.uuid)
    .execute();
  await events.record({ kind: 'vm.stopped', vmUuid: vm.uuid, taskUuid: task?.uuid, text });
}
