import { createHash } from 'node:crypto';
import type { ProofsTable } from '../store/schema.js';

/** The digest before the first proof. */
export const CHAIN_START = '0'.repeat(64);

/** The fields that a proof's digest covers: everything that is known when it is made. */
export type DigestedProof = Pick<
  ProofsTable,
  | 'sequence'
  | 'uuid'
  | 'taskUuid'
  | 'kind'
  | 'vmUuid'
  | 'epoch'
  | 'hostUuid'
  | 'bootId'
  | 'source'
  | 'factsJson'
  | 'createdAt'
  | 'expiresAt'
  | 'previousDigest'
>;

/** SHA-256, hex, over the record's fields in a fixed order and the digest before it. */
export function proofDigest(proof: DigestedProof): string {
  const canonical = JSON.stringify([
    proof.sequence,
    proof.uuid,
    proof.taskUuid,
    proof.kind,
    proof.vmUuid,
    proof.epoch,
    proof.hostUuid,
    proof.bootId,
    proof.source,
    proof.factsJson,
    proof.createdAt,
    proof.expiresAt,
    proof.previousDigest,
  ]);
  return createHash('sha256').update(canonical).digest('hex');
}

/** The first place at which a chain is broken, or undefined. */
export function brokenAt(
  chain: readonly (DigestedProof & { digest: string })[],
): number | undefined {
  let previous = CHAIN_START;
  for (const [i, proof] of chain.entries()) {
    const fits = proof.sequence === i + 1 && proof.previousDigest === previous;
    if (!fits || proofDigest(proof) !== proof.digest) return proof.sequence;
    previous = proof.digest;
  }
  return undefined;
}
