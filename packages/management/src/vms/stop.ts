import { DomainError } from '@fenceline/protocol';
import type { CloseOnHost } from '../fencing/channels/ownAgent.js';
import type { HostDirectory } from '../hosts/contracts.js';
import type { StopVmInstanceMsg } from '../messages/types.js';
import type { Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import type { Ledger } from './runs/ledger.js';
import { findVm } from './vm.js';

export interface StopDeps {
  store: Store;
  ledger: Ledger;
  events: Events;
  directory: HostDirectory;
  closeOnHost: CloseOnHost;
}

/**
 * A person's stop: the wish is durable first, so that HA leaves the VM alone from then on; then
 * every open run is closed by its own host (`cleanStop`).
 * @throws DomainError REFUSED if a run is not proven over.
 */
export async function stopVm(deps: StopDeps, message: StopVmInstanceMsg): Promise<void> {
  const vm = await findVm(deps.store.db, message.vmUuid);
  if (vm === undefined) throw new DomainError('NOT_FOUND', `no VM ${message.vmUuid}`);
  const mine = deps.store.db.updateTable('vms').where('uuid', '=', vm.uuid);
  await mine.set({ stoppedByPerson: 1 }).execute();
  for (const run of await deps.ledger.openRuns(vm.uuid)) {
    const options = { stop: true, gracefulMs: message.gracefulMs, taskUuid: null };
    const judged = await deps.closeOnHost(run, vm, options);
    if ('refused' in judged) {
      // Refused means that nothing changed: HA goes on to guard the VM, or to bring it back.
      await mine.set({ stoppedByPerson: vm.stoppedByPerson ? 1 : 0 }).execute();
      const host = await deps.directory.find(run.hostUuid);
      throw new DomainError(
        'REFUSED',
        `VM ${vm.name} is not proven stopped on ${host?.name ?? run.hostUuid}, so HA stays in ` +
          `charge of it: ${judged.refused}`,
      );
    }
    await deps.ledger.close(judged.proof, null);
  }
  const lastHostUuid = vm.hostUuid ?? vm.lastHostUuid;
  await mine.set({ state: 'Stopped', hostUuid: null, lastHostUuid }).execute();
  await deps.events.record({
    kind: 'vm.stopped',
    vmUuid: vm.uuid,
    text: `VM ${vm.name} was stopped by a person`,
  });
}
