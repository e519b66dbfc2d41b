import type { DestroyVmRsp, DiskRef } from '@fenceline/protocol';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';
import { gapIn, recordFacts } from './record.js';
import { resolveVerdict } from './verdict.js';

const maker = proofMaker('byAgent');

export interface AgentAnswer {
  run: Run;
  answer: DestroyVmRsp;
  vmDisks: readonly Pick<DiskRef, 'source'>[];
  /** A person asked for it and the VM was to be stopped. */
  stop: boolean;
}

/**
 * What the host's own agent proves, behind a barrier: `cleanStop` (it was asked to stop the VM),
 * `hostRebooted` (the run's boot is over), `neverBegan` (this epoch never started here), else
 * `vmNotRunning`. All of them need the same look as a peer's.
 */
export function proofByAgent({ run, answer, vmDisks, stop }: AgentAnswer): Judged {
  const { verdict } = answer;
  if (verdict === undefined) return { refused: 'the agent sent no verdict' };
  const decision = resolveVerdict({
    success: answer.success,
    qemuConfirmedDead: verdict.qemuConfirmedDead,
    qemuStillAlive: verdict.qemuStillAlive,
    targetHostUnreachable: verdict.targetHostUnreachable,
  });
  if (decision !== 'dead') return { refused: `its agent said ${verdict.outcome} (${decision})` };
  const record = {
    hostUuid: answer.hostUuid,
    bootId: answer.bootId,
    pidNamespace: answer.pidNamespace,
    barrier: verdict.barrier,
    disks: verdict.disks,
  };
  const gap = gapIn(record, run, vmDisks);
  if (gap !== undefined) return { refused: `its agent's record is not complete: ${gap}` };
  return {
    proof: new FenceProof(maker, {
      kind: kindOf(run, answer, stop),
      run,
      source: `agent:${run.hostUuid}`,
      facts: {
        outcome: verdict.outcome,
        killed: verdict.killed,
        highestBegan: answer.highestBegan,
        beganKnown: answer.beganKnown,
        ...recordFacts(record),
      },
    }),
  };
}

function kindOf(run: Run, answer: DestroyVmRsp, stop: boolean) {
  if (answer.bootId !== run.bootId) return 'hostRebooted';
  const never = answer.beganKnown && (answer.highestBegan ?? -1) < run.epoch;
  if (never) return 'neverBegan';
  return stop ? 'cleanStop' : 'vmNotRunning';
}
