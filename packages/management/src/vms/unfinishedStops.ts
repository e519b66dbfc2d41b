import type { AgentGateway } from '../hosts/agentGateway.js';
import type { MessageBus } from '../messages/bus.js';
import type { Store } from '../store/store.js';
import { askStatus } from './askStatus.js';
import { closeRuns, setWish, stopped, type StopDeps } from './stop.js';
import { findVm } from './vm.js';

/** A look, and a kill of what runs no more; as long as a stop that waits for no guest. */
const SETTLE_TIMEOUT_MS = 5 * 60_000;

/**
 * VMs that a person stopped and that have an open run: a server died between wish and order, or
 * somebody started the VM past Fenceline. HA leaves such a VM alone, so what is true is found out
 * as soon as its host is seen.
 */
export interface UnfinishedStops {
  /** Looks at what an earlier life of this server left; returns before anything is settled. */
  start(): Promise<void>;
  /** The host was heard of all its VMs, or of one; returns before anything is settled. */
  seen(hostUuid: string, vmUuid?: string): Promise<void>;
}

export function makeUnfinishedStops({
  store,
  bus,
}: {
  store: Store;
  bus: MessageBus;
}): UnfinishedStops {
  /** Those under way, and whether one was heard of again meanwhile. */
  const underWay = new Map<string, boolean>();
  const settle = async (vmUuid: string): Promise<void> => {
    do {
      underWay.set(vmUuid, false);
      // Behind a stop of this life of the server that is under way: that one ends by itself.
      await bus.send('SettleStop', { vmUuid, timeoutMs: SETTLE_TIMEOUT_MS });
    } while (underWay.get(vmUuid) === true);
    underWay.delete(vmUuid);
  };
  const settleAll = (vms: readonly { uuid: string }[]): void => {
    for (const { uuid } of vms)
      if (underWay.has(uuid)) underWay.set(uuid, true);
      else void settle(uuid);
  };
  return {
    start: async () => {
      const left = store.db.selectFrom('vms').select('uuid').where('stoppedByPerson', '=', 1);
      settleAll(await left.where('state', '!=', 'Stopped').execute());
    },
    seen: async (hostUuid, vmUuid) => {
      let query = store.db
        .selectFrom('runs')
        .innerJoin('vms', 'vms.uuid', 'runs.vmUuid')
        .select('vms.uuid')
        .distinct()
        .where('runs.hostUuid', '=', hostUuid)
        .where('runs.state', '!=', 'closed')
        .where('vms.stoppedByPerson', '=', 1);
      if (vmUuid !== undefined) query = query.where('vms.uuid', '=', vmUuid);
      settleAll(await query.execute());
    },
  };
}

/**
 * In the VM's queue slot. It runs: the stop is taken back, and HA guards the VM again; whoever asked
 * for it got no answer, and a kill that comes hours later is nobody's wish. It does not run: the
 * stop is carried out to its end.
 */
export async function settleStop(
  deps: StopDeps & { gateway: AgentGateway },
  vmUuid: string,
): Promise<void> {
  const vm = await findVm(deps.store.db, vmUuid);
  if (vm === undefined || !vm.stoppedByPerson) return;
  for (const run of await deps.ledger.openRuns(vmUuid)) {
    const now = await askStatus(deps, run);
    // Nobody knows yet; its host will be seen again. One that is being killed tells of its end.
    if (now === undefined || now.vm?.state === 'Stopping') return;
    if (now.vm?.hasProcess !== true) continue;
    await setWish(deps.store, vm, { stopped: false });
    await deps.events.record({
      kind: 'vm.stopTakenBack',
      severity: 'warning',
      hostUuid: run.hostUuid,
      vmUuid,
      text:
        `VM ${vm.name} runs although a person had stopped it: that stop was not carried out to ` +
        'its end and is taken back, so HA is in charge of the VM again',
    });
    return;
  }
  const ended = await closeRuns(deps, vm, 0);
  if (ended.every(({ why }) => why === undefined)) await stopped(deps, vm);
}
