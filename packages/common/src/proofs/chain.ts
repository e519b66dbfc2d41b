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

/** A run of a VM that a start stands on, by what closed it. */
export interface StandsOn {
  epoch: number;
  /** In the chain, of the proof that closed it. */
  proofDigest: string;
}

/** Everything that a granted start is: stored in the chain when it is granted, before it leaves. */
export interface StartBody {
  taskUuid: string | null;
  vmUuid: string;
  epoch: number;
  hostUuid: string;
  bootId: string;
  openedAt: string;
  /** Of every run of the VM before this one; see `standsOnDigest`. */
  standsOn: string;
}

/** The digest of all earlier runs of a VM and their proofs, lowest epoch first. */
export function standsOnDigest(runs: readonly StandsOn[]): string {
  const pairs = runs.map(({ epoch, proofDigest }): [number, string] => [epoch, proofDigest]);
  return digestOf(pairs.toSorted(([a], [b]) => a - b));
}

/** @param body may carry other fields; only those of a start's body count. */
export function startDigestOf(body: StartBody): string {
  const { taskUuid, vmUuid, epoch, hostUuid, bootId, openedAt, standsOn } = body;
  const run = { vmUuid, epoch, hostUuid, bootId };
  return digestOf({ start: { taskUuid, ...run, openedAt, standsOn } });
}

/** What stands in a chain, in the order of the places. */
export type ChainEntry = (
  { proof: ProofBody; start?: undefined } | { start: StartBody; proof?: undefined }
) & { sequence: number; previousDigest: string; digest: string };

/** The digest of what stands at that place. */
export function entryDigestOf({ proof, start }: ChainEntry): string {
  return proof === undefined ? startDigestOf(start) : bodyDigestOf(proof);
}

/**
 * The first place at which a chain is broken, or undefined.
 * @param before the place and digest that it goes on from; absent: it is the whole chain.
 */
export function brokenAt(
  chain: readonly ChainEntry[],
  before: { sequence: number; digest: string } = { sequence: 0, digest: CHAIN_START },
): number | undefined {
  let previous = before;
  for (const entry of chain) {
    const { sequence, previousDigest, digest } = entry;
    const fits = sequence === previous.sequence + 1 && previousDigest === previous.digest;
    if (!fits || linkDigestOf(sequence, previousDigest, entryDigestOf(entry)) !== digest)
      return sequence;
    previous = entry;
  }
  return undefined;
}
