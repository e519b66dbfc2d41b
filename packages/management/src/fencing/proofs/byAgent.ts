import { judgeAgent } from '@fenceline/common';
import type { DestroyVmRsp, DiskRef } from '@fenceline/protocol';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';
import { lookFacts } from './record.js';

const maker = proofMaker('byAgent');

export interface AgentAnswer {
  run: Run;
  answer: DestroyVmRsp;
  vmDisks: readonly Pick<DiskRef, 'source'>[];
  /** A person asked for it and the VM was to be stopped. */
  stop: boolean;
}

/** `cleanStop`, `hostRebooted`, `neverBegan` or `vmNotRunning`, from the run's own host. */
export function proofByAgent({ run, answer, vmDisks, stop }: AgentAnswer): Judged {
  const { verdict, success, hostUuid, bootId, pidNamespace } = answer;
  if (verdict === undefined) return { refused: 'the agent sent no verdict' };
  const { qemuConfirmedDead, qemuStillAlive, targetHostUnreachable } = verdict;
  const { outcome, killed, barrier, disks } = verdict;
  const said = { success, qemuConfirmedDead, qemuStillAlive, targetHostUnreachable, outcome };
  const looked = { ...said, killed, barrier, disks, hostUuid, bootId, pidNamespace };
  const facts = {
    ...lookFacts(run, looked, vmDisks),
    highestBegan: answer.highestBegan ?? null,
    beganKnown: answer.beganKnown,
    stop,
  };
  const ruling = judgeAgent(run, facts);
  if ('refused' in ruling) return ruling;
  const source = `agent:${run.hostUuid}`;
  return { proof: new FenceProof(maker, { kind: ruling.kind, run, source, facts }) };
}
