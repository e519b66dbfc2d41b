import type { LookFacts, LookRecord } from '@fenceline/common';
import type { DiskRef, FenceVerdict } from '@fenceline/protocol';
import type { Run } from '../../vms/runs/run.js';

/** What a look says, wherever it comes from. */
export interface LookAnswer extends LookRecord {
  success: unknown;
  qemuConfirmedDead: unknown;
  qemuStillAlive: unknown;
  targetHostUnreachable: unknown;
  outcome: string;
  killed: FenceVerdict['killed'] | readonly unknown[];
}

/**
 * The raw evidence of a look, as it is judged and stored with the proof: everything that the rules
 * look at, so that anybody can judge it anew.
 */
export function lookFacts(
  run: Run,
  answer: LookAnswer,
  vmDisks: readonly Pick<DiskRef, 'source'>[],
): LookFacts {
  return {
    outcome: answer.outcome,
    verdict: {
      success: answer.success ?? null,
      qemuConfirmedDead: answer.qemuConfirmedDead ?? null,
      qemuStillAlive: answer.qemuStillAlive ?? null,
      targetHostUnreachable: answer.targetHostUnreachable ?? null,
    },
    killed: answer.killed.map((each) => ({ ...(each as object) })),
    hostUuid: answer.hostUuid ?? null,
    bootId: answer.bootId ?? null,
    pidNamespace: answer.pidNamespace ?? null,
    barrier: answer.barrier ?? null,
    disks: answer.disks.map(({ source, drained }) => ({ source, drained })),
    asked: { pidNamespace: run.pidNamespace, disks: vmDisks.map(({ source }) => source) },
  };
}
