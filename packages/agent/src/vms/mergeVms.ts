import { dashed, type VmSeen, type VmState } from '@fenceline/protocol';
import type { LibvirtDomain } from '../libvirt/libvirt.js';
import type { RunRecord } from './hostState.js';
import type { QemuProcess } from './processes.js';

/** A qemu whose VM is known. */
export type AttributedQemu = QemuProcess & { vmUuid: string };

export interface Attribution {
  attributed: AttributedQemu[];
  /** Processes that look like qemu and belong to no known VM. */
  unattributed: QemuProcess[];
}

/**
 * Finds each process's VM and epoch: arguments win; then the run's record, which holds for exactly
 * that pid and start time (F35); then libvirt's name for it.
 */
export function attribute(
  processes: readonly QemuProcess[],
  runs: ReadonlyMap<string, RunRecord>,
  domains: readonly LibvirtDomain[],
): Attribution {
  const attributed: AttributedQemu[] = [];
  const unattributed: QemuProcess[] = [];
  for (const process of processes) {
    const recorded = [...runs].find(
      ([, run]) => run.pid === process.pid && run.startTime === process.startTime,
    );
    const named = domains.find(({ name }) => name === process.guestName);
    const vmUuid = process.vmUuid ?? recorded?.[0] ?? named?.vmUuid;
    if (vmUuid === undefined) unattributed.push(process);
    else
      attributed.push({
        ...process,
        vmUuid: dashed(vmUuid),
        epoch: process.epoch ?? (recorded?.[0] === vmUuid ? recorded[1].epoch : null),
      });
  }
  return { attributed, unattributed };
}

/**
 * One list out of both: an entry for each living qemu, and one for each domain without any. The
 * process table wins where they differ, as libvirt says "shut off" beside a living writer (§9).
 */
export function mergeVms(
  attributed: readonly AttributedQemu[],
  domains: readonly LibvirtDomain[],
): VmSeen[] {
  const byUuid = new Map(domains.map((domain) => [domain.vmUuid, domain]));
  const running = attributed.map((qemu): VmSeen => {
    const domain = byUuid.get(qemu.vmUuid);
    return {
      vmUuid: qemu.vmUuid,
      name: domain?.name ?? qemu.guestName ?? '',
      state: stateOfProcess(qemu, domain?.state),
      epoch: qemu.epoch,
      pid: qemu.pid,
      startTime: qemu.startTime,
      knownToLibvirt: domain !== undefined,
      hasProcess: true,
    };
  });
  const seen = new Set(running.map(({ vmUuid }) => vmUuid));
  const rest = domains.filter(({ vmUuid }) => !seen.has(vmUuid)).map(withoutProcess);
  return [...running, ...rest].sort((a, b) => compare(a.vmUuid, b.vmUuid));
}

function stateOfProcess(qemu: QemuProcess, said: VmState | undefined): VmState {
  if (qemu.dying) return 'Stopping';
  return said === undefined || said === 'Stopped' || said === 'Unknown' ? 'Running' : said;
}

function withoutProcess({ vmUuid, name, state }: LibvirtDomain): VmSeen {
  // "Running" without a qemu is not seen running; "paused (starting up)" may be a wedged record.
  const claimsLife = state === 'Running' || state === 'Paused' || state === 'Migrating';
  return {
    vmUuid,
    name,
    state: claimsLife ? 'Unknown' : state,
    epoch: null,
    pid: null,
    startTime: null,
    knownToLibvirt: true,
    hasProcess: false,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
