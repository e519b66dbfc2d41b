import { messageOf } from '@fenceline/common';
import {
  BadAnswerError,
  DomainError,
  RemoteError,
  TransportError,
  type FenceAnswer,
  type FenceVerdict,
} from '@fenceline/protocol';
import type { PeerEvidence } from '../messages/types.js';
import { resolveVerdict } from './proofs/verdict.js';

/** What to do after a peer answered about one VM, or did not (F14). */
export type NextStep =
  /** The answer stands. */
  | 'stop'
  /** Ask the next peer. */
  | 'next'
  /** The task is stale: a newer run exists. */
  | 'stale';

/** After an answer: only a clear word ends the round; `alive` is never asked again elsewhere. */
export function afterEvidence(evidence: PeerEvidence): NextStep {
  const decision = resolveVerdict(evidence);
  if (decision === 'dead' || decision === 'alive') return 'stop';
  if (evidence.outcome === 'staleEpoch') return 'stale';
  // An ambiguous answer with pids that were seen alive is an answer: the host acts, qemu was there.
  const sawPids = evidence.killed.length > 0 && decision === 'ambiguous';
  return sawPids ? 'stop' : 'next';
}

/** Why a peer gave no answer; `alarm` marks a defect of ours or of the set-up, not of the peer. */
export interface PeerFailure {
  step: NextStep;
  why: string;
  alarm: boolean;
  endpointMissing: boolean;
}

/** After a call that failed (F14, F15). */
export function afterFailure(thrown: unknown): PeerFailure {
  const base = { step: 'next', why: messageOf(thrown), alarm: false } as const;
  if (isMissingRoute(thrown))
    return { ...base, why: 'agent endpoint not found', endpointMissing: true };
  if (thrown instanceof RemoteError) return { ...afterRefusal(thrown), endpointMissing: false };
  if (thrown instanceof TransportError || thrown instanceof BadAnswerError)
    return { ...base, endpointMissing: false };
  return { ...base, alarm: true, endpointMissing: false };
}

/** An older agent says so with a code; something else at that port with a bare 404. */
function isMissingRoute(thrown: unknown): boolean {
  const told = thrown instanceof DomainError || thrown instanceof RemoteError;
  return told && thrown.code === 'NO_SUCH_ROUTE';
}

function afterRefusal(error: RemoteError): Omit<PeerFailure, 'endpointMissing'> {
  const why = `${error.code}: ${error.message}`;
  if (error.status === 409 && error.code === 'STALE_EPOCH')
    return { step: 'stale', why, alarm: false };
  const defect = [400, 401, 403].includes(error.status);
  return { step: 'next', why, alarm: defect };
}

/** One VM's part of an answer, with where the answer came from. */
export function evidenceOf(
  peerHostUuid: string,
  answer: FenceAnswer,
  verdict: Omit<FenceVerdict, 'vmUuid'>,
): PeerEvidence {
  return {
    peerHostUuid,
    success: answer.success,
    qemuConfirmedDead: verdict.qemuConfirmedDead,
    qemuStillAlive: verdict.qemuStillAlive,
    targetHostUnreachable: verdict.targetHostUnreachable,
    outcome: verdict.outcome,
    disks: verdict.disks,
    killed: verdict.killed,
    ...(answer.hostUuid === undefined ? {} : { hostUuid: answer.hostUuid }),
    ...(answer.bootId === undefined ? {} : { bootId: answer.bootId }),
    ...(answer.pidNamespace === undefined ? {} : { pidNamespace: answer.pidNamespace }),
    ...(verdict.barrier === undefined ? {} : { barrier: verdict.barrier }),
    ...(verdict.detail === undefined ? {} : { detail: `${verdict.detail}${writersOf(verdict)}` }),
  };
}

/** Names of programs can be anything; only plain ones are shown. */
const PLAIN = /^[\w.-]{1,32}$/;
const MAX_NAMED = 4;

/** F20a: who else writes, for the person who has to end it. Number 0 is the kernel, for a device. */
function writersOf({ otherWriters }: Pick<FenceVerdict, 'otherWriters'>): string {
  const all = otherWriters.map(({ pid, comm }) => {
    const name = PLAIN.test(comm) ? comm : 'a program';
    return pid === 0 ? `the kernel for ${name}` : `${name} with pid ${pid}`;
  });
  const named = [...new Set(all)];
  const more = named.length > MAX_NAMED ? ` and ${named.length - MAX_NAMED} more` : '';
  return named.length === 0 ? '' : ` (${named.slice(0, MAX_NAMED).join(', ')}${more})`;
}
