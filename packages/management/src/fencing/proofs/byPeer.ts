import type { DiskRef } from '@fenceline/protocol';
import type { PeerEvidence } from '../../messages/types.js';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';
import { gapIn, recordFacts } from './record.js';
import { resolveVerdict } from './verdict.js';

const maker = proofMaker('byPeer');

/**
 * `peerConfirmedDead`: a sibling looked on the suspect and found the run dead (F21–F24, F34). If
 * the suspect answered from another boot than the run's, the run ended with its boot:
 * `hostRebooted`, by the same look behind the same barrier.
 */
export function proofByPeer(
  run: Run,
  evidence: PeerEvidence,
  vmDisks: readonly Pick<DiskRef, 'source'>[],
): Judged {
  const decision = resolveVerdict(evidence);
  if (decision !== 'dead') return { refused: `peer said ${evidence.outcome} (${decision})` };
  const gap = gapIn(evidence, run, vmDisks);
  if (gap !== undefined) return { refused: `peer's record is not complete: ${gap}` };
  const sameBoot = evidence.bootId === run.bootId;
  return {
    proof: new FenceProof(maker, {
      kind: sameBoot ? 'peerConfirmedDead' : 'hostRebooted',
      run,
      source: `peer:${evidence.peerHostUuid}`,
      facts: { outcome: evidence.outcome, killed: evidence.killed, ...recordFacts(evidence) },
    }),
  };
}
