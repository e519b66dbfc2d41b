import { messageOf, type Logger } from '@fenceline/common';
import { dashed, type VmSeen } from '@fenceline/protocol';
import type { Lane, Libvirt, LibvirtDomain } from '../libvirt/libvirt.js';
import type { HostState } from './hostState.js';
import { attribute, mergeVms, type AttributedQemu } from './mergeVms.js';
import type { Processes } from './processes.js';

/** What this host knows about its VMs at one moment. */
export interface VmLook {
  vms: VmSeen[];
  /** libvirt answered; if not, the list is what the process table shows. */
  libvirtAnswered: boolean;
  unattributed: number;
}

export interface LookPorts {
  libvirt: Libvirt;
  processes: Processes;
  state: HostState;
  log: Logger;
}

/**
 * libvirt and process table as one list; libvirt may be silent, the process table may not. Writes
 * the record of a run that it sees for the first time (F35).
 * @throws Error if the process table or the run records can't be read.
 */
export async function lookAtVms(ports: LookPorts, lane: Lane = 'look'): Promise<VmLook> {
  const said = await ask(ports, () => ports.libvirt.domains(lane));
  // After libvirt: a qemu that came in between is seen, one that went is not claimed.
  return finish(ports, said ?? [], said !== undefined);
}

/** The same for one VM: the entries of that VM only, `undefined` for "knows nothing of it". */
export async function lookAtVm(
  ports: LookPorts,
  vmUuid: string,
  lane: Lane = 'look',
): Promise<VmLook> {
  const wanted = dashed(vmUuid);
  const said = await ask(ports, async () => (await ports.libvirt.domain(wanted, lane)) ?? null);
  const look = await finish(ports, said ? [said] : [], said !== undefined);
  return { ...look, vms: look.vms.filter((vm) => vm.vmUuid === wanted) };
}

async function ask<T>({ log }: LookPorts, question: () => Promise<T>): Promise<T | undefined> {
  try {
    return await question();
  } catch (error) {
    log.warn('libvirt did not answer', { error: messageOf(error) });
    return undefined;
  }
}

async function finish(
  ports: LookPorts,
  domains: LibvirtDomain[],
  libvirtAnswered: boolean,
): Promise<VmLook> {
  const processes = await ports.processes.qemus();
  const { attributed, unattributed } = attribute(processes, await ports.state.runs(), domains);
  await recordNewRuns(ports.state, attributed);
  return {
    vms: mergeVms(attributed, domains),
    libvirtAnswered,
    unattributed: unattributed.length,
  };
}

/**
 * A run whose start nobody here has recorded (the agent died, the VM was reverted by hand) is
 * recorded by the next look; of several qemus of a VM, the one with the highest epoch.
 */
async function recordNewRuns(state: HostState, qemus: readonly AttributedQemu[]): Promise<void> {
  const runs = await state.runs();
  for (const { vmUuid, epoch, pid, startTime } of qemus) {
    const known = runs.get(vmUuid);
    if (epoch === null || (known !== undefined && epoch < known.epoch)) continue;
    if (known?.epoch === epoch && known.pid === pid && known.startTime === startTime) continue;
    await state.recordRun(vmUuid, { epoch, pid, startTime });
  }
}
