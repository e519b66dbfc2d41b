import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical.js';

/** The digest before the first proof. */
export const CHAIN_START = '0'.repeat(64);

/** Everything that is known of a proof when it is made; its digest covers all of it. */
export interface ProofBody {
  uuid: string;
  taskUuid: string | null;
  kind: string;
  vmUuid: string;
  epoch: number;
  hostUuid: string;
  bootId: string;
  source: string;
  facts: Readonly<Record<string, unknown>>;
  createdAt: string;
  expiresAt: string | null;
}

/** A place in the chain. Whoever has links only learns nothing of other VMs' proofs. */
export interface ChainLink {
  sequence: number;
  bodyDigest: string;
  digest: string;
}

/** SHA-256 of a value's canonical JSON, hex. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/** @param body may carry other fields; only those of a proof's body count. */
export function bodyDigestOf(body: ProofBody): string {
  const { uuid, taskUuid, kind, vmUuid, epoch, hostUuid, bootId, source, facts } = body;
  const { createdAt, expiresAt } = body;
  const run = { vmUuid, epoch, hostUuid, bootId };
  return digestOf({ uuid, taskUuid, kind, ...run, source, facts, createdAt, expiresAt });
}

/** The digest of a link: its place, what was there before it, and its proof. */
export function linkDigestOf(sequence: number, previousDigest: string, bodyDigest: string): string {
  return digestOf([sequence, previousDigest, bodyDigest]);
}

/** A proof's digest in the chain. */
export function proofDigest(
  proof: ProofBody & { sequence: number; previousDigest: string },
): string {
  return linkDigestOf(proof.sequence, proof.previousDigest, bodyDigestOf(proof));
}

/** The first place at which a whole chain is broken, or undefined. */
export function brokenAt(
  chain: readonly (ProofBody & { sequence: number; previousDigest: string; digest: string })[],
): number | undefined {
  let previous = CHAIN_START;
  for (const [i, proof] of chain.entries()) {
    const fits = proof.sequence === i + 1 && proof.previousDigest === previous;
    if (!fits || proofDigest(proof) !== proof.digest) return proof.sequence;
    previous = proof.digest;
  }
  return undefined;
}
