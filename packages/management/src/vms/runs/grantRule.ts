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
    /** Monotonic time of a host's last sign of life; undefined: none since this server started. */
    lastSignOfLifeMs: (hostUuid: string) => number | undefined;
  };
  /** The destination's row in this transaction; undefined: it was removed. */
  host: { name: string; status: string; state: string } | undefined;
  open: readonly Run[];
  /** Proofs of this VM that no start has relied on yet. */
  unused: readonly StoredProof[];
  /** ISO time of day. */
  now: string;
}

/**
 * A proof, and when this server looked at the silence that it stands on, on its own clock;
 * undefined: in an earlier life of it.
 */
export type StoredProof = ProofsTable & { silentAtMs: number | undefined };

/** Proofs that a later sign of life of the same boot voids (F41). */
const WEAK: readonly string[] = ['operatorConfirmed', 'hostUnreachable'];

/** It stands on silence alone, so it is only as good as the silence lasts. */
export function isWeak(kind: string): boolean {
  return WEAK.includes(kind);
}

/**
 * Why a VM may not get a new run, as a sentence, or undefined if it may.
 * safety: the rule behind "no proof, no start" (F33, F38, F40, F41).
 */
export function grantProblem(inputs: GrantInputs): string | undefined {
  const { request, host, open, unused, now } = inputs;
  const held = open[0];
  if (held !== undefined)
    return (
      `run ${held.epoch} of VM ${request.vmUuid} on host ${held.hostUuid} is not proven over ` +
      `(${held.state})`
    );
  // safety: placement looked a moment ago; a host that is being removed, or whose power is about to
  // be tried, is out of use by then.
  if (host === undefined) return `host ${request.hostUuid} is gone`;
  if (host.status !== 'Connected' || host.state !== 'Enabled')
    return `host ${host.name} is ${host.status} and ${host.state}`;
  const alive = request.liveOn[0];
  if (alive !== undefined)
    return `VM ${request.vmUuid} is seen alive on host ${alive.hostUuid} right now`;
  for (const proof of unused) {
    const problem = proofProblem(proof, now, request.lastSignOfLifeMs(proof.hostUuid));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Why one proof no longer holds, or undefined if it does. */
export function proofProblem(
  proof: StoredProof,
  now: string,
  lastSignOfLifeMs: number | undefined,
): string | undefined {
  if (proof.voidedReason !== null)
    return `the proof ${proof.kind} of run ${proof.epoch} is void: ${proof.voidedReason}`;
  if (proof.expiresAt !== null && proof.expiresAt <= now)
    return `the proof ${proof.kind} of run ${proof.epoch} expired at ${proof.expiresAt}`;
  if (!isWeak(proof.kind)) return undefined;
  // safety: while the server was away nobody watched the host, so the word is asked for again.
  if (proof.silentAtMs === undefined)
    return `the server restarted after host ${proof.hostUuid} was ${silenceOf(proof)}`;
  // safety: one clock that never goes back; a time of day that was set back would hide the sign.
  if (lastSignOfLifeMs !== undefined && lastSignOfLifeMs >= proof.silentAtMs)
    return `host ${proof.hostUuid} showed a sign of life after it was ${silenceOf(proof)}`;
  return undefined;
}

function silenceOf({ kind }: StoredProof): string {
  return kind === 'hostUnreachable' ? 'found unreachable' : 'confirmed dead';
}
