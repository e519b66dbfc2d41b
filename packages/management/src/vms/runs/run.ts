import type { RunsTable, RunState } from '../../store/schema.js';

/** One life of a VM's qemu on one host (F33). */
export interface Run {
  vmUuid: string;
  epoch: number;
  hostUuid: string;
  /** Boot of the host that this run was granted for. */
  bootId: string;
  /** Epoch that its qemu bears; null: an adopted one that bears none. */
  mark: number | null;
  /** Pid namespace of its host in that boot; null: not known. */
  pidNamespace: string | null;
  state: RunState;
  openedAt: string;
  closedAt: string | null;
  proofUuid: string | null;
}

export function runOf(row: Omit<RunsTable, 'taskUuid'>): Run {
  const { vmUuid, epoch, hostUuid, bootId, mark, pidNamespace } = row;
  const { state, openedAt, closedAt, proofUuid } = row;
  const where = { vmUuid, epoch, hostUuid, bootId, mark, pidNamespace };
  return { ...where, state, openedAt, closedAt, proofUuid };
}

/** Is this qemu, seen on the run's host under the run's boot, the run's? */
export function bearsMarkOf(run: Pick<Run, 'mark'>, seenEpoch: number | null): boolean {
  return seenEpoch === run.mark;
}

/** How a run is named in sentences. */
export function runName(run: Pick<Run, 'vmUuid' | 'epoch' | 'hostUuid'>): string {
  return `run ${run.epoch} of VM ${run.vmUuid} on host ${run.hostUuid}`;
}
