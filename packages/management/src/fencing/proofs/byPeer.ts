import { judgePeer } from '@fenceline/common';
import type { DiskRef } from '@fenceline/protocol';
import type { PeerEvidence } from '../../messages/types.js';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';
import { lookFacts } from './record.js';

const maker = proofMaker('byPeer');

/** `peerConfirmedDead` or `hostRebooted`, from what a sibling found on the suspect. */
export function proofByPeer(
  run: Run,
  evidence: PeerEvidence,
  vmDisks: readonly Pick<DiskRef, 'source'>[],
): Judged {
  // safety: F13: a suspect never vouches for its own death by SSH.
  if (evidence.peerHostUuid === run.hostUuid) return { refused: 'the suspect itself was the peer' };
  const facts = lookFacts(run, evidence, vmDisks);
  const ruling = judgePeer(run, facts);
  if ('refused' in ruling) return ruling;
  const source = `peer:${evidence.peerHostUuid}`;
  return { proof: new FenceProof(maker, { kind: ruling.kind, run, source, facts: { ...facts } }) };
}
