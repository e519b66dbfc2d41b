import { digestOf, type ChainLink, type ProofBody, type StandsOn } from './chain.js';

export const BUNDLE_FORMAT = 'fenceline-proof-bundle';
export const BUNDLE_VERSION = 1;

/** A proof as a bundle carries it: the body, its place, and what became of it. */
export interface BundleProof extends ProofBody {
  sequence: number;
  /** When a start was seen that stands on it. */
  usedAt: string | null;
  /** Why it can't be used any more (F41). */
  voidedReason: string | null;
  previousDigest: string;
  digest: string;
}

export interface BundleRun {
  epoch: number;
  hostUuid: string;
  bootId: string;
  state: string;
  openedAt: string;
  closedAt: string | null;
  proofUuid: string | null;
}

/** A start as the chain holds it, at its place. */
export interface BundleStart {
  epoch: number;
  hostUuid: string;
  bootId: string;
  openedAt: string;
  sequence: number;
  previousDigest: string;
  digest: string;
}

/** Everything that shows why one HA task was allowed to start its VM. */
export interface BundleContent {
  format: string;
  version: number;
  exportedAt: string;
  /** Which database the chain is of. */
  databaseIncarnation: string;
  task: {
    uuid: string;
    vmUuid: string;
    vmName: string | null;
    reason: string;
    judger: string;
    state: string;
    attempt: number;
    createdAt: string;
    endedAt: string | null;
  };
  /** The last run that this task was granted; null: none. */
  start: BundleStart | null;
  /** Every run of the VM before that one; where there is none, all of its runs. */
  runs: readonly BundleRun[];
  /** Older runs than these, which a bundle has no room for: what closed them, by digest alone. */
  leftOut: readonly StandsOn[];
  /** The proofs that closed these runs. */
  proofs: readonly BundleProof[];
  /** The chain without gaps, from the first of these proofs on, or from the start. */
  links: readonly ChainLink[];
  /** The last of these links: the newest proof of all, unless there are thousands after it. */
  head: { sequence: number; digest: string };
}

/** The parts that have a digest of their own, so that it can be told what was changed. */
export interface BundleDigests {
  about: string;
  task: string;
  start: string;
  runs: string;
  proofs: string;
  links: string;
}

export interface ProofBundle extends BundleContent {
  digests: BundleDigests;
}

/** The digests of a bundle's parts; whatever is in none of them counts as `about`. */
export function digestsOf(content: object): BundleDigests {
  const { task, start, runs, proofs, links, digests: _, ...about } = content as ProofBundle;
  return {
    about: digestOf(about),
    task: digestOf(task),
    start: digestOf(start),
    runs: digestOf(runs),
    proofs: digestOf(proofs),
    links: digestOf(links),
  };
}

export function sealBundle(content: BundleContent): ProofBundle {
  return { ...content, digests: digestsOf(content) };
}
