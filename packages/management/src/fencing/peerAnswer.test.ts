import { describe, expect, test } from '@jest/globals';
import {
  BadAnswerError,
  DomainError,
  FenceAnswer,
  FenceVerdict,
  RemoteError,
  TransportError,
} from '@fenceline/protocol';
import type { PeerEvidence } from '../messages/types.js';
import { afterEvidence, afterFailure, evidenceOf } from './peerAnswer.js';

const said = (change: Partial<PeerEvidence>): PeerEvidence => ({
  peerHostUuid: 'p',
  success: true,
  qemuConfirmedDead: false,
  qemuStillAlive: false,
  targetHostUnreachable: false,
  outcome: 'noNonce',
  disks: [],
  killed: [],
  ...change,
});
const pids = [{ pid: 1, startTime: 1, epoch: 1 }];

describe('after an answer', () => {
  test.each([
    ['F14', { qemuConfirmedDead: true, outcome: 'confirmedDead' }, 'stop', 'a clear word'],
    ['F14', { qemuStillAlive: true, outcome: 'stillAlive' }, 'stop', 'alive is an answer'],
    ['F14', { outcome: 'noNonce' }, 'next', 'ambiguous'],
    ['F14', { outcome: 'deadline', killed: pids }, 'stop', 'ambiguous, but pids were alive'],
    ['F14', { targetHostUnreachable: true, outcome: 'unreachable' }, 'next', 'another may reach'],
    ['F14', { outcome: 'staleEpoch' }, 'stale', 'a newer run exists'],
  ])('%s: %j: %s (%s)', (_rule, change, step, _why) => {
    expect(afterEvidence(said(change))).toBe(step);
  });
});

test.each([
  ['nobody', [], ''],
  [
    'one, on two disks',
    [[7, 'qemu-img'] as const, [7, 'qemu-img'] as const],
    ' (qemu-img with pid 7)',
  ],
  ['the kernel', [[0, 'loop3'] as const], ' (the kernel for loop3)'],
  ['a name that is not plain', [[7, 'x\u001b[2J'] as const], ' (a program with pid 7)'],
  [
    'many',
    [1, 2, 3, 4, 5, 6].map((pid) => [pid, 'dd'] as const),
    ' (dd with pid 1, dd with pid 2, dd with pid 3, dd with pid 4 and 2 more)',
  ],
])('F20a: who else writes to a disk is named to people: %s', (_who, writers, named) => {
  const otherWriters = writers.map(([pid, comm], i) => ({ pid, comm, source: `/disk${i}` }));
  const verdict = Object.assign(new FenceVerdict(), { detail: 'somebody writes', otherWriters });
  expect(evidenceOf('p', new FenceAnswer(), verdict).detail).toBe(`somebody writes${named}`);
});

describe('after a call that failed', () => {
  const refusal = (status: number, code: string) => new RemoteError(status, { code, message: 'm' });

  test.each([
    ['F14', new TransportError('refused', 'm'), 'next', false],
    ['F14', new TransportError('timeout', 'm'), 'next', false],
    ['F14', new BadAnswerError(200, 'unparsable'), 'next', false],
    ['F14', refusal(500, 'INTERNAL'), 'next', false],
    ['F14', refusal(503, 'STOPPING'), 'next', false],
    ['F14', refusal(409, 'STALE_EPOCH'), 'stale', false],
    ['F14', refusal(400, 'BAD_INPUT'), 'next', true],
    ['F14', refusal(401, 'UNAUTHENTICATED'), 'next', true],
    ['F14', refusal(403, 'FORBIDDEN'), 'next', true],
  ])('%s: %p: %s, alarm %s', (_rule, error, step, alarm) => {
    expect(afterFailure(error)).toMatchObject({ step, alarm, endpointMissing: false });
  });

  test.each([
    ['its bare 404', new DomainError('NO_SUCH_ROUTE', 'x')],
    ['its own words', new RemoteError(404, { code: 'NO_SUCH_ROUTE', message: 'no such route' })],
  ])('F15: an older agent has no such endpoint (%s): then the next', (_how, missing) => {
    expect(afterFailure(missing)).toMatchObject({
      step: 'next',
      why: 'agent endpoint not found',
      endpointMissing: true,
    });
  });
});
