import { messageOf, type KeyedQueue, type Logger } from '@fenceline/common';
import { dashed, DomainError, ok, StartVmRsp, type StartVmCmd } from '@fenceline/protocol';
import type { HostView } from '../host/hostView.js';
import { markRun } from '../libvirt/domainXml.js';
import type { Libvirt, PendingStart } from '../libvirt/libvirt.js';
import type { Grant, HostState } from './hostState.js';
import { lookAtVm, type VmLook } from './look.js';
import type { Processes } from './processes.js';
import { decideStart, refuseClosed, type StartFacts } from './startRules.js';

export interface StartPorts {
  host: Pick<HostView, 'boot'>;
  libvirt: Libvirt;
  processes: Processes;
  state: HostState;
  log: Logger;
  /** One operation at a time per VM. */
  queue: KeyedQueue;
}

/**
 * `POST /vm/start` (F11, F33 to F35, F40). What can be checked without touching anything is
 * checked first; then the epoch is recorded as begun, then libvirt is asked.
 */
export async function startVm(ports: StartPorts, command: StartVmCmd): Promise<StartVmRsp> {
  const run = { vmUuid: dashed(command.vmUuid), epoch: command.epoch };
  const xml = markRun(command.domainXml, run);
  await refuseOtherBoot(ports, command);
  return ports.queue.run(run.vmUuid, () =>
    startInTurn(ports, { ...run, xml, timeoutMs: command.startTimeoutMs }),
  );
}

/** F33: the ledger names the boot of a run; a run in another boot would be closed by a reboot. */
async function refuseOtherBoot({ host }: StartPorts, command: StartVmCmd): Promise<void> {
  const { bootId } = await host.boot();
  if (command.bootId !== bootId)
    throw new DomainError('CONFLICT', 'the start was granted to another boot of this host', {
      granted: command.bootId,
      bootId,
    });
}

interface Run {
  vmUuid: string;
  epoch: number;
  xml: string;
  timeoutMs: number;
}

async function startInTurn(ports: StartPorts, run: Run): Promise<StartVmRsp> {
  const { vmUuid, epoch } = run;
  const look = await lookAtVm(ports, vmUuid);
  const grant = await earlierStart(ports, vmUuid);
  const decision = decideStart({
    vmUuid,
    epoch,
    identity: await ports.state.identity(),
    barrier: await ports.state.barrier(vmUuid),
    began: await ports.state.began(vmUuid),
    living: look.vms.flatMap(({ pid, epoch }) => (pid === null ? [] : [{ pid, epoch }])),
    activeInLibvirt: look.vms.some((vm) => vm.state === 'Starting' || vm.state === 'Unknown'),
    grant,
  });
  if (decision === 'repeat') return repeated(look, grant !== undefined);
  if (!look.libvirtAnswered)
    throw new DomainError('LIBVIRT_FAILED', 'libvirt does not answer: nothing was started', {
      vmUuid,
      epoch,
    });
  // safety: on disk before any process of this run can exist; a crash from here on means "began".
  await ports.state.recordBegan(vmUuid, epoch);
  await grantAndCreate(ports, run);
  return confirmStarted(ports, run);
}

/** What came of the first one; it may be still on its way. */
function repeated(look: VmLook, granted: boolean): StartVmRsp {
  const rsp = stateOf(look);
  return granted && rsp.pid === null ? Object.assign(rsp, { state: 'Starting' as const }) : rsp;
}

/**
 * A start whose grant is there: under way, or without a known end, as its process was killed or the
 * agent that began it is gone.
 */
async function earlierStart(ports: StartPorts, vmUuid: string): Promise<StartFacts['grant']> {
  const grant = (await ports.state.grants()).find((known) => known.vmUuid === vmUuid);
  if (grant === undefined) return undefined;
  const { epoch, pid } = grant;
  return { epoch, pid, alive: (await ports.processes.startTimeOf(pid)) === grant.startTime };
}

/** The grant protocol: recorded → barrier read again → go → answered → record gone (F34). */
async function grantAndCreate({ libvirt, state, log }: StartPorts, run: Run): Promise<void> {
  const { vmUuid, epoch } = run;
  const pending = await libvirt.prepareStart({ vmUuid, epoch, xml: run.xml });
  const { pid, startTime } = pending;
  const grant: Grant = { vmUuid, epoch, pid, startTime };
  try {
    await state.writeGrant(grant);
    // safety: a fence that set its barrier before this read is seen here; one that sets it later
    // sees the grant and kills the process. Either way no start slips past the barrier.
    refuseClosed({ vmUuid, epoch, barrier: await state.barrier(vmUuid) });
    await pending.go(run.timeoutMs);
  } finally {
    await endGrant({ pending, state, log }, grant);
  }
}

async function endGrant(
  { pending, state, log }: { pending: PendingStart; state: HostState; log: Logger },
  grant: Grant,
): Promise<void> {
  const { vmUuid, epoch } = grant;
  try {
    // safety: F34: a start that libvirt may still run keeps its grant, so that a fence knows of it
    if ((await pending.abandon()) === 'resolved') await state.dropGrant(grant);
    else log.warn('a start ended without an answer of libvirt: its grant stays', { vmUuid, epoch });
  } catch (error) {
    // A grant that stays refuses the next start until its run is closed; it can do no other harm.
    log.error('a grant could not be ended', { vmUuid, error: messageOf(error) });
  }
}

/**
 * After a fence of this host has proven that nothing is left of the VM's runs up to that epoch: the
 * grant of an unresolved one has done its work. Under the VM's queue, so never beside a start.
 */
export async function dropClosedGrant(
  { state, queue, log }: Pick<StartPorts, 'state' | 'queue' | 'log'>,
  { vmUuid, epoch }: { vmUuid: string; epoch: number },
): Promise<void> {
  try {
    await queue.run(vmUuid, async () => {
      for (const grant of await state.grants())
        // safety: F34: only what that fence has closed; the barrier lets no other one go meanwhile
        if (grant.vmUuid === vmUuid && grant.epoch <= epoch) await state.dropGrant(grant);
    });
  } catch (error) {
    log.error('a grant could not be ended', { vmUuid, error: messageOf(error) });
  }
}

/** libvirt said yes: find the qemu, and see that it bears this run's mark. */
async function confirmStarted(ports: StartPorts, run: Run): Promise<StartVmRsp> {
  const { vmUuid, epoch } = run;
  const look = await lookAtVm(ports, vmUuid);
  const mine = look.vms.find((vm) => vm.epoch === epoch);
  const other = look.vms.find((vm) => vm.hasProcess);
  if (mine === undefined && other !== undefined && other.pid !== null && other.startTime !== null) {
    const unmarked = other.epoch === null;
    // A run without its mark must still be recognised by a fence: the record says what it is.
    if (unmarked)
      await ports.state.recordRun(vmUuid, { epoch, pid: other.pid, startTime: other.startTime });
    throw new DomainError(
      'LIBVIRT_FAILED',
      unmarked
        ? 'the qemu does not bear its run mark: does its machine type have fw_cfg?'
        : `the VM runs as epoch ${other.epoch}, not as the one that was started`,
      { vmUuid, epoch, pid: other.pid, runningEpoch: other.epoch },
    );
  }
  return stateOf(look);
}

function stateOf({ vms }: VmLook): StartVmRsp {
  const vm = vms.find(({ hasProcess }) => hasProcess) ?? vms[0];
  if (vm === undefined)
    return ok(StartVmRsp, { state: 'Stopped', epoch: null, pid: null, startTime: null });
  const { state, epoch, pid, startTime } = vm;
  return ok(StartVmRsp, { state, epoch, pid, startTime });
}
