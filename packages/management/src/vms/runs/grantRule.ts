import type { ProofsTable } from '../../store/schema.js';
import type { Run } from './run.js';

/** A host on whose fresh list the VM is alive. */
export interface LiveElsewhere {
  hostUuid: string;
  epoch: number | null;
}

export interface GrantInputs {
  request: {
    vmUuid: string;
    hostUuid: string;
    liveOn: readonly LiveElsewhere[];
    silentForMs: (hostUuid: string) => number;
  };
  open: readonly Run[];
  /** Proofs of this VM that no start has relied on yet. */
  unused: readonly ProofsTable[];
  /** ISO time of day. */
  now: string;
}

/** Proofs that a later sign of life of the same boot voids (F41). */
const WEAK: readonly string[] = ['operatorConfirmed'];

/**
 * Why a VM may not get a new run, as a sentence, or undefined if it may.
 * safety: the rule behind "no proof, no start" (F33, F38, F40, F41).
 */
export function grantProblem({ request, open, unused, now }: GrantInputs): string | undefined {
  const held = open[0];
  if (held !== undefined)
    return (
      `run ${held.epoch} of VM ${request.vmUuid} on host ${held.hostUuid} is not proven over ` +
      `(${held.state})`
    );
  const alive = request.liveOn[0];
  if (alive !== undefined)
    return `VM ${request.vmUuid} is seen alive on host ${alive.hostUuid} right now`;
  for (const proof of unused) {
    const problem = proofProblem(proof, { now, silentForMs: request.silentForMs(proof.hostUuid) });
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Why one proof no longer holds, or undefined if it does. */
export function proofProblem(
  proof: ProofsTable,
  { now, silentForMs }: { now: string; silentForMs: number },
): string | undefined {
  if (proof.voidedReason !== null)
    return `the proof ${proof.kind} of run ${proof.epoch} is void: ${proof.voidedReason}`;
  if (proof.expiresAt !== null && proof.expiresAt <= now)
    return `the proof ${proof.kind} of run ${proof.epoch} expired at ${proof.expiresAt}`;
  const ageMs = Date.parse(now) - Date.parse(proof.createdAt);
  if (WEAK.includes(proof.kind) && silentForMs < ageMs)
    return `host ${proof.hostUuid} showed a sign of life after it was confirmed dead`;
  return undefined;
}
