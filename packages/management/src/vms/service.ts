import { DomainError } from '@fenceline/protocol';
import type { Actor, StartedWork, VmsService } from '../api/services.js';
import type { Dispatch } from '../ha/dispatch.js';
import type { NewTask, Tasks } from '../ha/tasks/tasks.js';
import type { HostPresence } from '../hosts/contracts.js';
import type { MessageBus } from '../messages/bus.js';
import type { Placer } from '../placement/placer.js';
import type { Store } from '../store/store.js';
import type { HostProtection } from './hostProtection.js';
import type { VmInventory } from './inventory.js';
import { diskByUring, findVm, vmOf, type Vm } from './vm.js';

const GRACEFUL_MS = 60_000;
const STOP_TIMEOUT_MS = 5 * 60_000;

export interface VmsServiceDeps {
  store: Store;
  inventory: VmInventory;
  tasks: Tasks;
  dispatch: Dispatch;
  presence: HostPresence;
  placer: Placer;
  protection: Pick<HostProtection, 'changed'>;
  bus: MessageBus;
}

/** What people do with VMs; every start goes through the HA start's gate (F40). */
export function makeVmsService(deps: VmsServiceDeps): VmsService {
  const { store } = deps;
  const set = (vmUuid: string, change: Partial<Record<'level' | 'priority', string>>) =>
    store.db
      .updateTable('vms')
      .set(change as never)
      .where('uuid', '=', vmUuid)
      .execute();
  return {
    importVm: async ({ hostUuid, vm }) => {
      const imported = await deps.inventory.importVm(hostUuid, vm);
      deps.protection.changed();
      return { vmUuid: imported.uuid };
    },
    protect: async (vmUuid, { level, priority }) => {
      if (level !== undefined && level !== 'none') await refuseUnprotectable(store, vmUuid);
      const change = { ...(level && { level }), ...(priority && { priority }) };
      if (Object.keys(change).length > 0) await set(vmUuid, change);
      deps.protection.changed();
    },
    start: (vmUuid, { hostUuid, actor }) => startByPerson(deps, vmUuid, { hostUuid, actor }),
    stop: async (vmUuid, { graceful }) => {
      const reply = await deps.bus.send('StopVmInstance', {
        vmUuid,
        gracefulMs: graceful ? GRACEFUL_MS : 0,
        timeoutMs: STOP_TIMEOUT_MS,
      });
      if (reply.error !== undefined) throw reply.error;
      return {};
    },
    haStart: async (vmUuid, { reason, actor }) => {
      await requireVm(store, vmUuid);
      await wantRunning(store, vmUuid);
      return begin(deps, { vmUuid, reason: `${reason} (by ${actor.name})` });
    },
  };
}

async function startByPerson(
  deps: VmsServiceDeps,
  vmUuid: string,
  { hostUuid, actor }: { hostUuid?: string | undefined; actor: Actor },
): Promise<StartedWork> {
  const vm = await requireVm(deps.store, vmUuid);
  if (isAlive(deps.presence, vm))
    throw new DomainError('CONFLICT', `VM ${vm.name} runs already`, { host: vm.hostUuid });
  if (hostUuid !== undefined) await requireFits(deps, vm, hostUuid);
  await wantRunning(deps.store, vmUuid);
  return begin(deps, { vmUuid, reason: `started by ${actor.name}`, preferredHostUuid: hostUuid });
}

/** Durable before its task: whoever stops it from now on is the last to say what is wished. */
async function wantRunning({ db }: Store, vmUuid: string): Promise<void> {
  await db.updateTable('vms').set({ stoppedByPerson: 0 }).where('uuid', '=', vmUuid).execute();
}

/** A person who names a host means it. @throws DomainError REFUSED with what is against it. */
async function requireFits({ placer }: VmsServiceDeps, vm: Vm, hostUuid: string): Promise<void> {
  const ask = { vm, suspects: [], excluded: [], softAvoid: [], preferred: hostUuid };
  const { destinations, refusals } = await placer(ask);
  if (destinations.some((host) => host.uuid === hostUuid)) return;
  const refusal = refusals.find((one) => one.hostUuid === hostUuid);
  throw new DomainError(
    'REFUSED',
    `host ${refusal?.host ?? hostUuid} can't take VM ${vm.name}: ${refusal?.reason ?? 'it is gone'}`,
  );
}

/** Its host shows it alive right now. */
function isAlive(presence: HostPresence, vm: Vm): boolean {
  if (vm.hostUuid === null || !presence.linkUp(vm.hostUuid)) return false;
  const live = presence.liveVms(vm.hostUuid) ?? [];
  return live.some((seen) => seen.vmUuid === vm.uuid);
}

async function begin(
  { tasks, dispatch }: VmsServiceDeps,
  ask: Pick<NewTask, 'vmUuid' | 'reason' | 'preferredHostUuid'>,
): Promise<{ taskUuid: string }> {
  const wanted = {
    ...ask,
    judger: 'manual' as const,
    siblingHostUuids: [],
    softAvoidHostUuids: [],
  };
  const task = await tasks.openOrCreate(wanted);
  // A person's word now: HA's own task of this VM goes on in its name, whatever holds HA back.
  if (task.judger !== 'manual') await tasks.refresh(task.uuid, wanted);
  if (task.attempt > 0) await tasks.retryNow(task.uuid);
  await dispatch.ordered((await tasks.find(task.uuid)) ?? task);
  return { taskUuid: task.uuid };
}

async function refuseUnprotectable(store: Store, vmUuid: string): Promise<void> {
  const vm = await requireVm(store, vmUuid);
  refuseUring(vm);
  await refuseSharedDisk(store, vm);
}

/** Said now, and not when its host has failed and no sibling can prove it dead. */
function refuseUring({ name, disks }: Vm): void {
  const disk = diskByUring(disks);
  if (disk === undefined) return;
  throw new DomainError(
    'REFUSED',
    `VM ${name} can't be protected: its disk ${disk.source} is written by io_uring, and no fence ` +
      "can prove that its last write is not still on its way; set io='native' or io='threads' in " +
      "the disk's <driver>, start it anew, and import it again",
  );
}

/**
 * safety: F34: the hooks refuse a VM with a disk of another protected one, so of two of them neither
 * could be brought back; and if they ran, both would write.
 */
async function refuseSharedDisk(store: Store, vm: Vm): Promise<void> {
  const others = await store.db
    .selectFrom('vms')
    .selectAll()
    .where('clusterUuid', '=', vm.clusterUuid)
    .where('level', '<>', 'none')
    .where('uuid', '<>', vm.uuid)
    .execute();
  const mine = new Set(vm.disks.map(({ source }) => source));
  for (const row of others) {
    const shared = vmOf(row).disks.find(({ source }) => mine.has(source));
    if (shared === undefined) continue;
    throw new DomainError(
      'CONFLICT',
      `VM ${vm.name} can't be protected: its disk ${shared.source} belongs to VM ${row.name}, ` +
        'which is protected already',
      { vmUuid: row.uuid },
    );
  }
}

async function requireVm(store: Store, vmUuid: string): Promise<Vm> {
  const vm = await findVm(store.db, vmUuid);
  if (vm === undefined) throw new DomainError('NOT_FOUND', `no VM ${vmUuid}`);
  return vm;
}
