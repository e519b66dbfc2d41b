import type { MonotonicMs } from '@fenceline/common';
import type { ProofKind } from '../store/schema.js';
import type { Run } from '../vms/runs/run.js';

/** Facts of a proof: JSON, canonical, never a secret. */
export type ProofFacts = Record<string, unknown>;

/** What a proof says, before it is stored. */
export interface ProofClaim {
  readonly kind: ProofKind;
  readonly run: Run;
  /** Who said so: `peer:<host uuid>`, `agent:<host uuid>`, `power:<agent>`, `operator:<name>`. */
  readonly source: string;
  readonly facts: ProofFacts;
  /** Seconds after which it can't be used any more; absent = never. */
  readonly expiresAfterSec?: number;
  /** Proofs that stand on silence: monotonic time of the look at it. */
  readonly silentAtMs?: MonotonicMs;
}

const makers = new WeakSet<object>();

/**
 * The evidence that one run is over. Only the rules in `fencing/proofs/` make one, and closing a
 * run takes one: no proof, no start is a type.
 */
export class FenceProof {
  // safety: the private field makes the type nominal; an object literal can't pose as a proof.
  readonly #claim: ProofClaim;

  /** @param maker handed out by `proofMaker`, which only the rules of this folder import. */
  constructor(maker: ProofMaker, claim: ProofClaim) {
    if (!makers.has(maker)) throw new Error('a proof can only be made by the rules of fencing');
    this.#claim = Object.freeze({ ...claim });
  }

  get claim(): ProofClaim {
    return this.#claim;
  }
}

/** A key to `FenceProof`'s constructor. */
export interface ProofMaker {
  readonly name: string;
}

/** For `fencing/proofs/*` alone; the architecture check refuses any other importer. */
export function proofMaker(name: string): ProofMaker {
  const maker = Object.freeze({ name });
  makers.add(maker);
  return maker;
}

/** Either a proof, or why there is none. */
export type Judged = { proof: FenceProof } | { refused: string };
