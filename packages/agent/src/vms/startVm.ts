import { messageOf, type KeyedQueue, type Logger } from '@fenceline/common';
import { dashed, DomainError, ok, StartVmRsp, type StartVmCmd } from '@fenceline/protocol';
import type { HostView } from '../host/hostView.js';
import { markRun } from '../libvirt/domainXml.js';
import type { Libvirt, PendingStart } from '../libvirt/libvirt.js';
import type { Grant, HostState } from './hostState.js';
import { lookAtVm, type VmLook } from './look.js';
import type { Processes } from './processes.js';
import { decideStart, refuseClosed } from './startRules.js';

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
  const grantPid = await livingGrant(ports, vmUuid);
  const decision = decideStart({
    vmUuid,
    epoch,
    identity: await ports.state.identity(),
    barrier: await ports.state.barrier(vmUuid),
    began: await ports.state.began(vmUuid),
    living: look.vms.flatMap(({ pid, epoch }) => (pid === null ? [] : [{ pid, epoch }])),
    activeInLibvirt: look.vms.some((vm) => vm.state === 'Starting' || vm.state === 'Unknown'),
    grantPid,
  });
  if (decision === 'repeat') return repeated(look, grantPid);
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

/** What came of the first one; it may be still on its way, begun by the agent before this one. */
function repeated(look: VmLook, grantPid: number | undefined): StartVmRsp {
  const rsp = stateOf(look);
  const underWay = grantPid !== undefined && rsp.pid === null;
  return underWay ? Object.assign(rsp, { state: 'Starting' as const }) : rsp;
}

/** Pid of an earlier start that still lives: its grant must stay until it has ended. */
async function livingGrant(ports: StartPorts, vmUuid: string): Promise<number | undefined> {
  const grant = (await ports.state.grants()).find((known) => known.vmUuid === vmUuid);
  if (grant === undefined) return undefined;
  const startTime = await ports.processes.startTimeOf(grant.pid);
  return startTime === grant.startTime ? grant.pid : undefined;
}

/** The grant protocol: recorded → barrier read again → go → returned → record gone (F34). */
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
    await endGrant({ pending, state, log }, vmUuid);
  }
}

async function endGrant(
  { pending, state, log }: { pending: PendingStart; state: HostState; log: Logger },
  vmUuid: string,
): Promise<void> {
  try {
    await pending.abandon();
    await state.dropGrant(vmUuid);
  } catch (error) {
    // A grant that stays refuses the next start while its process lives; it can do no other harm.
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

/**
 * At agent start: grants whose process has ended are dropped. One whose process lives is a start
 * that the agent before this one began; it stays until that process has ended (F34).
 */
export async function dropEndedGrants(ports: Pick<StartPorts, 'processes' | 'state'>) {
  for (const grant of await ports.state.grants()) {
    const startTime = await ports.processes.startTimeOf(grant.pid);
    if (startTime !== grant.startTime) await ports.state.dropGrant(grant.vmUuid);
  }
}
