import { describe, expect, test } from '@jest/globals';
import type { FenceOutcome, FenceVm } from '@fenceline/protocol';
import type { SignsJudgement } from './judgeSigns.js';
import type { EndLine, ProgramAnswer, VmAnswer } from './programAnswer.js';
import type { SessionEnd } from './programSession.js';
import type { DialFailureKind } from './sshDialer.js';
import { judgeVm, type Evidence } from './verdict.js';

const VM = '11111111-2222-3333-4444-555555555555';
const HOST = 'aaaaaaaa-2222-3333-4444-555555555555';
const NONCE = '00112233445566778899aabbccddeeff';
const vm: FenceVm = { vmUuid: VM, fenceEpoch: 7, disks: [{ kind: 'file', source: '/a b' }] };
const expected = { nonce: NONCE, hostUuid: HOST };

const endLine: EndLine = {
  nonce: NONCE,
  host: HOST,
  boot: 'b',
  pidNamespace: '1',
  uid: 0,
  control: 'ok',
  stages: {},
};
const old = { pid: 1, startTime: 2, epoch: 7 };
const newer = { pid: 3, startTime: 4, epoch: 8 };
const dead: VmAnswer = {
  found: [old],
  disks: [{ source: '/a b', drained: 'synced' }],
  writers: [],
  verdict: 'dead',
  barrier: 'disk',
};
const exit: SessionEnd = { kind: 'exit', code: 0 };

function session(
  about: Partial<VmAnswer>,
  rest: { end?: Partial<EndLine> | 'none'; how?: SessionEnd | 'deadline'; refused?: string } = {},
): Evidence {
  const answer: ProgramAnswer = {
    greeted: true,
    vms: new Map([[VM, { ...dead, ...about }]]),
    ...(rest.refused === undefined ? {} : { refused: rest.refused }),
    ...(rest.end === 'none' ? {} : { end: { ...endLine, ...rest.end } }),
  };
  return { kind: 'session', answer, end: rest.how === 'deadline' ? undefined : (rest.how ?? exit) };
}

/** The answer to `count`: what is there, and no verdict. */
function looked(found: VmAnswer['found']): Evidence {
  const vms = new Map([[VM, { found, disks: [], writers: [] }]]);
  return { kind: 'session', answer: { greeted: true, vms, end: endLine }, end: exit };
}

test.each<[string, Evidence, FenceOutcome]>([
  ['a qemu of it', looked([old]), 'stillAlive'],
  ['nothing', looked([]), 'noNonce'],
  ['only a newer run', looked([newer]), 'noNonce'],
  ['nothing, and a program that lies about it', session({ found: [] }), 'noNonce'],
])(
  'F34: a look has no barrier, so it never proves a death; it found %s: %3$s',
  (_what, evidence, outcome) => {
    expect(judgeVm(vm, evidence, { ...expected, mode: 'count' })).toBe(outcome);
  },
);

describe('the verdict from a session', () => {
  test.each<[string, Evidence, FenceOutcome, string]>([
    ['killed and proven', session({}), 'confirmedDead', 'F22'],
    ['nothing found', session({ found: [] }), 'nothingFound', 'F22'],
    ['found without a mark', session({ found: [{ ...old, epoch: null }] }), 'confirmedDead', 'F35'],
    [
      'end line came, session did not close',
      session({}, { how: 'deadline' }),
      'confirmedDead',
      'F25',
    ],
    ['alive', session({ verdict: 'alive' }), 'stillAlive', 'F21'],
    [
      'alive, control failed',
      session({ verdict: 'alive' }, { end: { control: 'no-barrier' } }),
      'stillAlive',
      'F23',
    ],
    ['unattributed', session({ verdict: 'unattributed' }), 'unattributed', 'F21'],
    ['other writer', session({ verdict: 'other-writer' }), 'otherWriter', 'F20a'],
    [
      'dead, yet a writer is named',
      session({ writers: [{ pid: 1, comm: 'x', source: '/a b' }] }),
      'otherWriter',
      'F20a',
    ],
    ['not drained', session({ verdict: 'not-drained' }), 'notDrained', 'F21a'],
    [
      'dead, yet a disk says no',
      session({ disks: [{ source: '/a b', drained: 'no' }] }),
      'notDrained',
      'F21a',
    ],
    ['dead, yet a disk is not mentioned', session({ disks: [] }), 'notDrained', 'F21a'],
    [
      'dead, another disk is mentioned',
      session({ disks: [{ source: '/c', drained: 'synced' }] }),
      'notDrained',
      'F21a',
    ],
    ['a newer run lives there', session({ found: [old, newer] }), 'staleEpoch', 'F35'],
    [
      'a newer run, and ours lives',
      session({ found: [old, newer], verdict: 'alive' }),
      'stillAlive',
      'F35',
    ],
    ['no verdict', { ...session({}), ...drop(session({})) }, 'noNonce', 'F22'],
    ['two verdicts', session({ verdict: 'conflict' }), 'noNonce', 'F17'],
    ['another nonce', session({}, { end: { nonce: 'ff'.repeat(16) } }), 'noNonce', 'F22'],
    ['another host', session({}, { end: { host: VM } }), 'wrongHost', 'F22'],
    [
      'another host says alive',
      session({ verdict: 'alive' }, { end: { host: VM } }),
      'wrongHost',
      'F22',
    ],
    ['not root', session({}, { end: { uid: 1000 } }), 'controlFailed', 'F22'],
    ['control failed', session({}, { end: { control: 'look-failed' } }), 'controlFailed', 'F22'],
    ['no control at all', session({}, { end: { control: '' } }), 'controlFailed', 'F22'],
    [
      'signal behind a whole answer',
      session({}, { how: { kind: 'signal', signal: 'SIGKILL' } }),
      'signalled',
      'F22',
    ],
    [
      'exit 1 behind a whole answer',
      session({}, { how: { kind: 'exit', code: 1 } }),
      'channelClosed',
      'F22',
    ],
    [
      'closed behind a whole answer',
      session({}, { how: { kind: 'closed' } }),
      'channelClosed',
      'F22',
    ],
    [
      'signal, no end',
      session({}, { end: 'none', how: { kind: 'signal', signal: 'KILL' } }),
      'signalled',
      'F22',
    ],
    [
      'closed, no end',
      session({}, { end: 'none', how: { kind: 'closed' } }),
      'channelClosed',
      'F22',
    ],
    ['exit, no end', session({}, { end: 'none' }), 'noNonce', 'F22'],
    [
      'too much output',
      session({}, { end: 'none', how: { kind: 'tooMuchOutput' } }),
      'noNonce',
      'F25',
    ],
    [
      'deadline, pid was reported',
      session({}, { end: 'none', how: 'deadline' }),
      'stillAlive',
      'F23',
    ],
    [
      'deadline, only a newer pid',
      session({ found: [newer] }, { end: 'none', how: 'deadline' }),
      'deadline',
      'F35',
    ],
    [
      'deadline, nothing reported',
      session({ found: [] }, { end: 'none', how: 'deadline' }),
      'deadline',
      'F23',
    ],
    ['token refused', session({}, { refused: 'bad-token', end: 'none' }), 'badOrderToken', 'F29a'],
    [
      'token refused',
      session({}, { refused: 'bad-order-token', end: 'none' }),
      'badOrderToken',
      'F29a',
    ],
    [
      'refused by another host',
      session({}, { refused: 'wrong-host', end: 'none' }),
      'wrongHost',
      'F22',
    ],
    ['order refused', session({}, { refused: 'bad-order', end: 'none' }), 'localError', 'F18'],
  ])('%s is %s (%s)', (_what, evidence, outcome) => {
    expect(judgeVm(vm, evidence, expected)).toBe(outcome);
  });

  test('F17: an answer about another VM is none about this one', () => {
    const other: FenceVm = { vmUuid: HOST, fenceEpoch: 7, disks: [] };
    expect(judgeVm(other, session({}), expected)).toBe('noNonce');
  });

  test('F22: of all combinations only the complete record is dead', () => {
    const verdicts = ['dead', 'alive', 'other-writer', 'not-drained', 'unattributed'] as const;
    const found = [[], [old], [newer]];
    const disks = [dead.disks, [], [{ source: '/a b', drained: 'no' as const }]];
    const ends = ['none', {}, { nonce: 'x' }, { host: 'x' }, { uid: 1 }, { control: 'x' }] as const;
    const hows = [exit, 'deadline', { kind: 'closed' }, { kind: 'signal', signal: 'X' }] as const;
    const rows = verdicts.flatMap((verdict) =>
      found.flatMap((f) =>
        disks.flatMap((d) =>
          ends.flatMap((end) => hows.map((how) => ({ verdict, f, d, end, how }))),
        ),
      ),
    );
    let proven = 0;
    for (const { verdict, f, d, end, how } of rows) {
      const evidence = session({ verdict, found: f, disks: d }, { end, how });
      const outcome = judgeVm(vm, evidence, expected);
      const clean = verdict === 'dead' && !f.includes(newer) && d === dead.disks;
      const complete = clean && end === ends[1] && (how === exit || how === 'deadline');
      expect(outcome === 'confirmedDead' || outcome === 'nothingFound').toBe(complete);
      proven += complete ? 1 : 0;
    }
    expect(proven).toBe(4);
  });
});

function drop(evidence: Evidence): Evidence {
  const { verdict: _verdict, ...about } = dead;
  if (evidence.kind !== 'session') return evidence;
  return { ...evidence, answer: { ...evidence.answer, vms: new Map([[VM, about]]) } };
}

describe('the verdict without a session', () => {
  const unreachable: SignsJudgement = { kind: 'unreachable' };
  const alive: SignsJudgement = { kind: 'alive', signs: ['x'] };
  const ambiguous: SignsJudgement = { kind: 'ambiguous', why: 'x' };
  test.each<[DialFailureKind, SignsJudgement | undefined, FenceOutcome, string]>([
    ['hostUnreachable', unreachable, 'unreachable', 'no sign of life, control reached'],
    ['connectTimeout', unreachable, 'unreachable', 'the same with a warm neighbour entry'],
    ['hostUnreachable', alive, 'refusedConnection', 'a firewall rejects: the kernel lives'],
    ['connectTimeout', alive, 'refusedConnection', 'a port is filtered, ICMP answers'],
    ['hostUnreachable', ambiguous, 'deadline', 'no control was reached'],
    ['connectTimeout', ambiguous, 'deadline', 'a full backlog looks the same'],
    ['connectTimeout', undefined, 'deadline', 'nobody looked for signs'],
    ['netUnreachable', unreachable, 'localError', 'ENETUNREACH speaks about the peer'],
    ['refused', unreachable, 'refusedConnection', 'the kernel lives'],
    ['noBanner', unreachable, 'noBanner', 'frozen: the kernel accepts'],
    ['dropped', undefined, 'noBanner', 'MaxStartups, or out of processes'],
    ['kexFailed', unreachable, 'kexFailed', 'somebody spoke'],
    ['authFailed', undefined, 'authFailed', 'sshd lives'],
    ['hostKeyMismatch', undefined, 'hostKeyMismatch', 'another machine'],
    ['channelClosed', undefined, 'channelClosed', 'sshd lives'],
    ['localError', unreachable, 'localError', 'a fault of this side'],
    ['aborted', unreachable, 'localError', 'the caller went away'],
  ])('F23: %s with %o is %s: %s', (failure, signs, outcome) => {
    expect(judgeVm(vm, { kind: 'noSession', failure, signs }, expected)).toBe(outcome);
  });
});
