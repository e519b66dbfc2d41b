import { unreachable } from '@fenceline/common';
import type { FenceOutcome } from '@fenceline/protocol';

/** The three answers of a peer; at most one is true (F24). */
export interface ThreeAnswers {
  qemuConfirmedDead: boolean;
  qemuStillAlive: boolean;
  targetHostUnreachable: boolean;
}

/** Which of the three an outcome is; most are none, and then nobody may conclude anything. */
export function threeAnswers(outcome: FenceOutcome): ThreeAnswers {
  const none = { qemuConfirmedDead: false, qemuStillAlive: false, targetHostUnreachable: false };
  switch (outcome) {
    case 'confirmedDead':
    case 'nothingFound':
      return { ...none, qemuConfirmedDead: true };
    case 'stillAlive':
    case 'unattributed':
      return { ...none, qemuStillAlive: true };
    case 'unreachable':
      return { ...none, targetHostUnreachable: true };
    case 'otherWriter':
    case 'notDrained':
    case 'refusedConnection':
    case 'noBanner':
    case 'kexFailed':
    case 'authFailed':
    case 'hostKeyMismatch':
    case 'channelClosed':
    case 'signalled':
    case 'noNonce':
    case 'wrongHost':
    case 'controlFailed':
    case 'deadline':
    case 'staleEpoch':
    case 'badOrderToken':
    case 'localError':
      return none;
    default:
      return unreachable(outcome);
  }
}
