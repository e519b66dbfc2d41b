import { messageOf, type Logger } from '@fenceline/common';
import { PRIORITIES } from '@fenceline/protocol';
import type { PowerControl } from '../fencing/power/powerControl.js';
import type { HostFencingMarks, HostJudgement } from '../hosts/contracts.js';
import type { Store } from '../store/store.js';
import type { OldBoots } from '../vms/oldBoots.js';
import type { Ledger } from '../vms/runs/ledger.js';
import type { Run } from '../vms/runs/run.js';
import { findVm, type Vm } from '../vms/vm.js';
import type { Dispatch } from './dispatch.js';
import type { Tasks } from './tasks/tasks.js';

export interface HostFailuresDeps {
  store: Store;
  ledger: Ledger;
  tasks: Tasks;
  marks: HostFencingMarks;
  dispatch: Dispatch;
  oldBoots: OldBoots;
  power: Pick<PowerControl, 'rebooted'>;
  log: Logger;
}

/** Acts on judgements of hosts: which VMs are to be brought back, and when that is called off. */
export interface HostFailures {
  judged(judgement: HostJudgement): Promise<void>;
  judgementOf(hostUuid: string): HostJudgement | undefined;
  /** An attempt to close a run there begins. */
  began(hostUuid: string): Promise<void>;
  /** An attempt to close a run there ended without a proof. */
  refused(hostUuid: string): Promise<void>;
  /** A run was closed: is the whole host proven over now? */
  runClosed(hostUuid: string): Promise<void>;
}

export function makeHostFailures(deps: HostFailuresDeps): HostFailures {
  const judgements = new Map<string, HostJudgement>();
  return {
    judgementOf: (hostUuid) => judgements.get(hostUuid),
    judged: async (judgement) => {
      const before = judgements.get(judgement.hostUuid);
      const changed = before?.row !== judgement.row || before.action !== judgement.action;
      judgements.set(judgement.hostUuid, judgement);
      if (changed && DOWN.includes(judgement.action)) await showUnknown(deps, judgement.hostUuid);
      if (judgement.action === 'fence') await fenceHost(deps, judgement);
      else if (judgement.action === 'closeRebooted') await closeRebooted(deps, judgement);
      // Whatever else changed, tasks that wait look again without their back-off (D10).
      if (changed) await deps.dispatch.clusterChanged();
    },
    began: async (hostUuid) => {
      const judgement = judgements.get(hostUuid);
      if (judgement?.action === 'fence') await deps.marks.fencingBegan(hostUuid, judgement.why);
    },
    refused: async (hostUuid) => {
      if (judgements.get(hostUuid)?.action === 'fence')
        await deps.marks.fencingCalledOff(
          hostUuid,
          'an attempt ended without proof; it is retried',
        );
    },
    runClosed: async (hostUuid) => {
      if (judgements.get(hostUuid)?.action !== 'fence') return;
      const open = await deps.ledger.openRunsOnHost(hostUuid);
      if (open.length === 0) await deps.marks.fenced(hostUuid, 'every run on it is proven over');
    },
  };
}

const DOWN: readonly string[] = ['alarm', 'fence'];

/** Every protected VM with an open run there gets its task; most important first (D9). */
async function fenceHost(deps: HostFailuresDeps, judgement: HostJudgement): Promise<void> {
  const vms = await protectedVms(deps, await deps.ledger.openRunsOnHost(judgement.hostUuid));
  if (vms.length === 0) return;
  for (const vm of vms) await bringBack(deps, vm, { judgement });
}

async function bringBack(
  deps: HostFailuresDeps,
  vm: Vm,
  { judgement, preferredHostUuid }: { judgement: HostJudgement; preferredHostUuid?: string },
): Promise<void> {
  const wanted = {
    vmUuid: vm.uuid,
    reason: judgement.why,
    judger: 'host-failure' as const,
    siblingHostUuids: judgement.siblingHostUuids,
    softAvoidHostUuids: [],
    preferredHostUuid,
  };
  if (await givenUp(deps, vm, judgement.hostUuid)) return;
  const task = await deps.tasks.openOrCreate(wanted);
  if (task.attempt > 0) await deps.tasks.refresh(task.uuid, wanted);
  else await deps.dispatch.dispatch(task);
}

/**
 * A person abandoned the VM's last task, and its host has shown no sign of life since: the same
 * failure does not open another one.
 */
async function givenUp({ store }: HostFailuresDeps, vm: Vm, hostUuid: string): Promise<boolean> {
  const task = await store.db
    .selectFrom('haTasks')
    .select(['state', 'endedAt'])
    .where('vmUuid', '=', vm.uuid)
    .orderBy('createdAt', 'desc')
    .executeTakeFirst();
  if (task?.state !== 'abandoned') return false;
  const host = await store.db
    .selectFrom('hosts')
    .select('lastSignOfLifeAt')
    .where('uuid', '=', hostUuid)
    .executeTakeFirst();
  return (host?.lastSignOfLifeAt ?? '') < (task.endedAt ?? '');
}

/** Nobody sees the host's VMs any more: they are shown as what they are, unknown (F8). */
async function showUnknown({ store, ledger }: HostFailuresDeps, hostUuid: string): Promise<void> {
  const vmUuids = (await ledger.openRunsOnHost(hostUuid)).map((run) => run.vmUuid);
  await store.db
    .updateTable('vms')
    .set({ state: 'Unknown' })
    .where('uuid', 'in', vmUuids)
    .where('hostUuid', '=', hostUuid)
    .where('state', '=', 'Running')
    .execute();
}

/** The host runs under a new boot: its old runs are over once its barrier says so. */
async function closeRebooted(deps: HostFailuresDeps, judgement: HostJudgement): Promise<void> {
  await deps.power.rebooted(judgement.hostUuid);
  const open = await deps.ledger.openRunsOnHost(judgement.hostUuid);
  const old = open.filter((run) => run.bootId !== judgement.inputs.bootId);
  const down = old.filter((run) => !runsThereNow(open, run, judgement));
  const vms = await protectedVms(deps, down);
  for (const vm of vms)
    await bringBack(deps, vm, { judgement, preferredHostUuid: judgement.hostUuid });
  const others = old.filter((run) => !vms.some((vm) => vm.uuid === run.vmUuid));
  for (const run of others) await closeOnly(deps, run);
}

/** The VM runs there under the new boot, started by somebody else: it needs no start. */
function runsThereNow(open: readonly Run[], old: Run, { inputs }: HostJudgement): boolean {
  return open.some((run) => run.vmUuid === old.vmUuid && run.bootId === inputs.bootId);
}

/**
 * A VM that nobody brings back still gets its old run closed, so that a person can start it.
 * safety: I3: never by a fence: libvirt starts such a VM with its host, and nobody would start what
 * was killed there.
 */
async function closeOnly({ oldBoots, log }: HostFailuresDeps, run: Run): Promise<void> {
  // One VM that can't be settled keeps no other one waiting; its host is judged again soon.
  const closed = await oldBoots
    .close(run)
    .catch((error: unknown) => ({ refused: messageOf(error) }));
  if ('refused' in closed)
    log.warn('an old run is not closed yet', { vm: run.vmUuid, why: closed.refused });
}

async function protectedVms({ store, log }: HostFailuresDeps, runs: readonly Run[]) {
  const uuids = [...new Set(runs.map((run) => run.vmUuid))];
  const vms: Vm[] = [];
  for (const uuid of uuids) {
    const vm = await findVm(store.db, uuid).catch((error: unknown) => {
      log.error('a VM could not be read', { vm: uuid, error: messageOf(error) });
      return undefined;
    });
    if (vm !== undefined && vm.level !== 'none' && !vm.stoppedByPerson) vms.push(vm);
  }
  return vms.toSorted(
    (a, b) =>
      PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) ||
      (a.createdAt < b.createdAt ? -1 : 1),
  );
}
