import type { Step } from '@fenceline/common';
import type { Vm } from '../../vms/vm.js';
import { HaRefusal, type Attempt } from './context.js';

/** `before-ha-start-vm-instance`: all extensions run, errors are gathered, any error refuses. */
export const beforeHaStart: Step<Attempt> = {
  name: 'before-ha-start-vm-instance',
  skip: ({ adopted }) => adopted !== undefined,
  run: async ({ deps, vm }) => {
    const problems: string[] = [];
    for (const extension of deps.extensions)
      await extension.beforeHaStart(vm).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        problems.push(`${extension.name}: ${why}`);
      });
    if (problems.length > 0)
      throw new HaRefusal(`VM ${vm.name} was not started: ${problems.join('; ')}`);
  },
};

/**
 * `mark-vm-stopped-and-save-last-host`: what people see. The original is put back if a later
 * step fails (F7).
 */
export const markVmStopped: Step<Attempt> = {
  name: 'mark-vm-stopped-and-save-last-host',
  skip: ({ adopted }) => adopted !== undefined,
  run: async ({ deps, vm }) => {
    await deps.store.db
      .updateTable('vms')
      .set({ state: 'Stopped', hostUuid: null, lastHostUuid: vm.hostUuid ?? vm.lastHostUuid })
      .where('uuid', '=', vm.uuid)
      .execute();
  },
  rollback: async ({ deps, vm, task }) => {
    await restoreVm(deps.store.db, vm);
    await deps.events.record({
      kind: 'vm.stateRestored',
      vmUuid: vm.uuid,
      taskUuid: task.uuid,
      text: `VM ${vm.name} is shown as ${vm.state} again: it was not started`,
      facts: { state: vm.state },
    });
  },
};

function restoreVm(db: Attempt['deps']['store']['db'], vm: Vm): Promise<unknown> {
  return db
    .updateTable('vms')
    .set({ state: vm.state, hostUuid: vm.hostUuid, lastHostUuid: vm.lastHostUuid })
    .where('uuid', '=', vm.uuid)
    .execute();
}
