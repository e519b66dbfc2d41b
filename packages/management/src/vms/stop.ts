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
  const failed = await closeRuns(deps, vm, message.gracefulMs);
  if (failed === undefined) return stopped(deps, vm);
  // Refused means that the VM may run: HA goes on to guard it, or to bring it back.
  await setWish(deps.store, vm, { stopped: false });
  const host = await deps.directory.find(failed.run.hostUuid);
  throw new DomainError(
    'REFUSED',
    `VM ${vm.name} is not proven stopped on ${host?.name ?? failed.run.hostUuid}, so HA stays in ` +
      `charge of it: ${failed.why}`,
  );
}

export async function setWish(
  { db }: Store,
  vm: Pick<Vm, 'uuid'>,
  { stopped: wish }: { stopped: boolean },
): Promise<void> {
  const stoppedByPerson = wish ? 1 : 0;
  await db.updateTable('vms').set({ stoppedByPerson }).where('uuid', '=', vm.uuid).execute();
}

/** Stops it where it runs. @returns the first run that is not proven over, and why. */
export async function closeRuns(
  deps: StopDeps,
  vm: Vm,
  gracefulMs: number,
): Promise<{ run: Run; why: string } | undefined> {
  for (const run of await deps.ledger.openRuns(vm.uuid)) {
    const judged = await deps.closeOnHost(run, vm, { stop: true, gracefulMs, taskUuid: null });
    if ('refused' in judged) return { run, why: judged.refused };
    await deps.ledger.close(judged.proof, null);
  }
  return undefined;
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
