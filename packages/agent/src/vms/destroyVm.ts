import { messageOf, sleep, type Clock, type KeyedQueue, type Logger } from '@fenceline/common';
import {
  dashed,
  DestroyVmRsp,
  DomainError,
  type DestroyVmCmd,
  type FenceVmsFromPeerRsp,
} from '@fenceline/protocol';
import type { Libvirt } from '../libvirt/libvirt.js';
import type { HostState } from './hostState.js';
import type { LocalFence } from './localFence.js';
import { lookAtVm } from './look.js';
import type { Processes } from './processes.js';
import { dropClosedGrant } from './startVm.js';

export interface DestroyPorts {
  clock: Clock;
  libvirt: Libvirt;
  processes: Processes;
  state: HostState;
  localFence: LocalFence;
  log: Logger;
  /** One operation at a time per VM. */
  queue: KeyedQueue;
  /** One local fence at a time per VM; apart, as a fence must not wait for a start that hangs. */
  fenceQueue: KeyedQueue;
}

const SHUTDOWN_LOOK_EVERY_MS = 250;

/**
 * `POST /vm/destroy`: the barrier first, then a shutdown (purpose `stop`), then in any case the
 * fence program on this host, whose verdict is the answer (F34; proofs vmNotRunning, cleanStop).
 */
export async function destroyVm(
  ports: DestroyPorts,
  command: DestroyVmCmd,
  signal: AbortSignal,
): Promise<DestroyVmRsp> {
  const vmUuid = dashed(command.vmUuid);
  const raised = await raiseBarrier(ports, vmUuid, command.fenceEpoch);
  if (command.purpose === 'stop')
    await ports.queue.run(vmUuid, () => shutDown(ports, command, signal));
  const answer = await ports.fenceQueue.run(vmUuid, () =>
    ports.localFence.fence({
      vms: [{ vmUuid, fenceEpoch: command.fenceEpoch, disks: command.disks }],
      deadlineMs: command.timeoutMs,
      killGraceMs: command.killGraceMs,
    }),
  );
  const verdict = answer.verdicts.find((one) => dashed(one.vmUuid) === vmUuid);
  // safety: F34: no other verdict says that libvirt has nothing of that start left. Not waited for:
  // the start itself may still hold the queue, and whoever starts next comes behind this.
  if (answer.success && verdict?.qemuConfirmedDead === true)
    void dropClosedGrant(ports, { vmUuid, epoch: command.fenceEpoch });
  return answerOf(answer, { vmUuid, ...(await beganAfterBarrier(ports, vmUuid, raised)) });
}

/** A barrier that could not be set here is the program's to set; its answer then says how. */
async function raiseBarrier(ports: DestroyPorts, vmUuid: string, epoch: number): Promise<boolean> {
  try {
    await ports.state.raiseBarrier(vmUuid, epoch);
    return true;
  } catch (error) {
    ports.log.error('the barrier could not be set', { vmUuid, epoch, error: messageOf(error) });
    return false;
  }
}

/** A clean stop: asks the guest, waits; a guest that does not react is killed afterwards. */
async function shutDown(
  ports: DestroyPorts,
  command: DestroyVmCmd,
  signal: AbortSignal,
): Promise<void> {
  const { gracefulMs, fenceEpoch } = command;
  const vmUuid = dashed(command.vmUuid);
  if (gracefulMs === 0) return;
  const until = ports.clock.monotonicMs() + gracefulMs;
  try {
    const { vms } = await lookAtVm(ports, vmUuid, 'urgent');
    const newer = vms.some((vm) => vm.epoch !== null && vm.epoch > fenceEpoch);
    if (newer || !vms.some((vm) => vm.hasProcess)) return;
    await ports.libvirt.shutdown(vmUuid);
    while (ports.clock.monotonicMs() < until) {
      const qemus = await ports.processes.qemus();
      if (!qemus.some((qemu) => qemu.vmUuid === vmUuid)) return;
      const leftMs = until - ports.clock.monotonicMs();
      await sleep(ports.clock, Math.min(SHUTDOWN_LOOK_EVERY_MS, leftMs), signal);
    }
  } catch (error) {
    // The caller is gone or the agent stops: nobody waits for a kill any more.
    if (signal.aborted) throw new DomainError('STOPPING', 'the stop was given up', { vmUuid });
    ports.log.warn('the graceful shutdown did not work', { vmUuid, error: messageOf(error) });
  }
}

interface Began {
  highestBegan: number | null;
  beganKnown: boolean;
}

/**
 * What the record says, read after the barrier: a start that had not written its epoch by now
 * finds the barrier and never begins (proof neverBegan).
 */
async function beganAfterBarrier(
  { state, log }: DestroyPorts,
  vmUuid: string,
  raised: boolean,
): Promise<Began> {
  try {
    const { seeded } = await state.identity();
    const began = await state.began(vmUuid);
    // safety: a record that is not whole, or read before the barrier, must not say "never began".
    return { highestBegan: began ?? null, beganKnown: raised && seeded };
  } catch (error) {
    log.error('the record of past starts can not be read', { vmUuid, error: messageOf(error) });
    return { highestBegan: null, beganKnown: false };
  }
}

function answerOf(answer: FenceVmsFromPeerRsp, vm: { vmUuid: string } & Began): DestroyVmRsp {
  const { verdicts, ...rest } = answer;
  const verdict = verdicts.find((one) => dashed(one.vmUuid) === vm.vmUuid);
  const missing = answer.success && verdict === undefined;
  const rsp = Object.assign(new DestroyVmRsp(), rest, {
    highestBegan: vm.highestBegan,
    beganKnown: vm.beganKnown,
    success: answer.success && verdict !== undefined,
  });
  if (verdict !== undefined) rsp.verdict = verdict;
  if (missing)
    rsp.error = new DomainError('INTERNAL', 'the fence program gave no verdict').toBody();
  return rsp;
}
