import { unreachable } from '@fenceline/common';
import { dashed, type FenceOutcome, type FenceVm } from '@fenceline/protocol';
import type { SignsJudgement } from './judgeSigns.js';
import { encodeSource } from './order.js';
import type { FoundProcess, ProgramAnswer, VmAnswer } from './programAnswer.js';
import type { SessionEnd } from './programSession.js';
import type { DialFailureKind } from './sshDialer.js';

/** All that a peer knows at the end of one fence call. */
export type Evidence =
  /** No session; the signs of life are there if the failure made them worth asking for. */
  | { kind: 'noSession'; failure: DialFailureKind; signs: SignsJudgement | undefined }
  /** A session; `end` is undefined if the deadline came first. */
  | { kind: 'session'; answer: ProgramAnswer; end: SessionEnd | undefined };

export interface Expected {
  nonce: string;
  /** Dashed. */
  hostUuid: string;
  /** What the program was asked to do; default `fence`. */
  mode?: 'fence' | 'count';
}

/** Outcome for one VM (F22 to F24). The first line that fits decides. */
export function judgeVm(vm: FenceVm, evidence: Evidence, expected: Expected): FenceOutcome {
  if (evidence.kind === 'noSession') return withoutSession(evidence.failure, evidence.signs);
  const { answer, end } = evidence;
  const about = answer.vms.get(dashed(vm.vmUuid)) ?? { found: [], disks: [], writers: [] };
  if (answer.refused !== undefined) return refusal(answer.refused);
  if (answer.end === undefined) return withoutEndLine(vm, about, end);
  // safety: F22: an end by a signal is no answer, even behind a complete one
  if (end?.kind === 'signal') return 'signalled';
  if (end !== undefined && (end.kind !== 'exit' || end.code !== 0)) return 'channelClosed';
  if (answer.end.nonce !== expected.nonce) return 'noNonce';
  // safety: F22: a machine behind a reused address answers truthfully, but about itself
  if (answer.end.host !== expected.hostUuid) return 'wrongHost';
  // safety: without a barrier "nothing there" is no proof: a look says who lives, or nothing at all
  if (expected.mode === 'count') return toClose(vm, about).length > 0 ? 'stillAlive' : 'noNonce';
  return withEndLine(vm, about, { control: answer.end.control, uid: answer.end.uid });
}

/** The program understood nothing or refused before it touched anything. */
function refusal(reason: string): FenceOutcome {
  if (reason === 'wrong-host') return 'wrongHost';
  const token = reason === 'bad-order-token' || reason === 'bad-token';
  return token ? 'badOrderToken' : 'localError';
}

function withoutSession(failure: DialFailureKind, signs: SignsJudgement | undefined): FenceOutcome {
  switch (failure) {
    case 'hostUnreachable':
    case 'connectTimeout':
      // safety: F23: a connect that failed is "unreachable" only if nothing at all showed life
      if (signs?.kind === 'unreachable') return 'unreachable';
      return signs?.kind === 'alive' ? 'refusedConnection' : 'deadline';
    case 'netUnreachable':
    case 'localError':
    case 'aborted':
      return 'localError';
    case 'refused':
      return 'refusedConnection';
    case 'noBanner':
    case 'dropped':
      return 'noBanner';
    case 'kexFailed':
    case 'hostKeyMismatch':
    case 'authFailed':
    case 'channelClosed':
      return failure;
    default:
      return unreachable(failure);
  }
}

function withoutEndLine(vm: FenceVm, about: VmAnswer, end: SessionEnd | undefined): FenceOutcome {
  // F23: out of time after login: alive if the program had found processes to kill
  if (end === undefined) return toClose(vm, about).length > 0 ? 'stillAlive' : 'deadline';
  switch (end.kind) {
    case 'signal':
      return 'signalled';
    case 'closed':
      return 'channelClosed';
    case 'exit':
    case 'tooMuchOutput':
      return 'noNonce';
    default:
      return unreachable(end);
  }
}

function withEndLine(
  vm: FenceVm,
  about: VmAnswer,
  { control, uid }: { control: string; uid: number },
): FenceOutcome {
  if (about.verdict === undefined || about.verdict === 'conflict') return 'noNonce';
  if (about.verdict === 'alive') return 'stillAlive';
  // safety: F22: a program that could not see (not root, no barrier, no look) proves nothing
  if (control !== 'ok' || uid !== 0) return 'controlFailed';
  if (about.verdict === 'unattributed') return 'unattributed';
  // safety: F35: a newer run lives there, so this order is out of date and closes nothing
  if (newerThan(vm, about).length > 0) return 'staleEpoch';
  if (about.verdict === 'other-writer' || about.writers.length > 0) return 'otherWriter';
  if (about.verdict === 'not-drained' || !allDrained(vm, about)) return 'notDrained';
  return toClose(vm, about).length > 0 ? 'confirmedDead' : 'nothingFound';
}

/** The processes that this order closes (F35). */
export function toClose(vm: FenceVm, about: VmAnswer): FoundProcess[] {
  return about.found.filter(({ epoch }) => epoch === null || epoch <= vm.fenceEpoch);
}

function newerThan(vm: FenceVm, about: VmAnswer): FoundProcess[] {
  return about.found.filter(({ epoch }) => epoch !== null && epoch > vm.fenceEpoch);
}

/** F21a: every disk of the order has an answer of its own, and none of them is `no`. */
function allDrained(vm: FenceVm, about: VmAnswer): boolean {
  // safety: compared as they travelled: a source that was not echoed was not drained
  const drained = new Set(
    about.disks.filter((disk) => disk.drained !== 'no').map((disk) => encodeSource(disk.source)),
  );
  const refused = about.disks.some((disk) => disk.drained === 'no');
  return !refused && vm.disks.every((disk) => drained.has(encodeSource(disk.source)));
}
