import { describe, expect, test } from '@jest/globals';
import { proofBodies, unreachableSample } from '../testing/proofSamples.js';
import { judgeUnreachable, type UnreachableFacts } from './unreachableRules.js';

const run = proofBodies()[5] ?? { vmUuid: '', epoch: 0, hostUuid: '', bootId: '' };
const facts = unreachableSample as UnreachableFacts;
const [record] = facts.records;
const [first, second] = facts.siblings;
if (record === undefined || first === undefined || second === undefined) throw new Error('sample');

const judged = (change: Partial<UnreachableFacts>): string => {
  const ruling = judgeUnreachable(run, { ...facts, ...change });
  return 'kind' in ruling ? ruling.kind : ruling.refused;
};
const withRecord = (change: Partial<typeof record>) => ({ records: [{ ...record, ...change }] });
const says = (outcome: string, more: object = {}) => ({
  hostUuid: 'h9',
  outcome,
  verdict: {
    success: true,
    qemuConfirmedDead: false,
    qemuStillAlive: false,
    targetHostUnreachable: false,
    ...more,
  },
});

test('hostUnreachable: all conditions hold', () => {
  expect(judged({})).toBe('hostUnreachable');
});

describe('hostUnreachable: each condition, broken alone, leaves no proof', () => {
  test.each<[string, Partial<UnreachableFacts>, string]>([
    ['(a) one sibling', { siblings: [first] }, '1 of 2 siblings'],
    ['(a) nobody', { siblings: [] }, '0 of 2'],
    ['(a) one sibling twice', { siblings: [first, first] }, '1 of 2'],
    [
      '(a) the suspect itself',
      { siblings: [first, { ...second, hostUuid: run.hostUuid }] },
      '1 of 2',
    ],
    [
      '(a) one refused',
      { siblings: [first, second, says('refusedConnection')] },
      'refusedConnection, which is no silence',
    ],
    ['(a) one login failed', { siblings: [first, second, says('authFailed')] }, 'no silence'],
    ['(a) one is not sure', { siblings: [first, second, says('localError')] }, 'no silence'],
    [
      '(a) success is missing',
      { siblings: [first, { ...second, verdict: { ...second.verdict, success: null } }] },
      'no silence',
    ],
    ['(a) a sign of life', { signOfLife: true }, 'sign of life'],
    [
      'still alive bars it',
      { siblings: [first, second, says('stillAlive', { qemuStillAlive: true })] },
      'counts for nothing',
    ],
    ['(b) no record', { records: [] }, 'no storage of this VM'],
    ['(b) another storage', withRecord({ holdsDisk: false }), 'no storage of this VM'],
    ['(b) not armed', withRecord({ selfFencerArmed: false }), 'self-fencer was not armed'],
    ['(b) no watchdog', withRecord({ watchdogArmed: false }), 'watchdog was not armed'],
    [
      '(b) not this VM',
      withRecord({ kills: [{ vmUuid: 'other', epoch: run.epoch }] }),
      'not end this run',
    ],
    [
      '(b) not this epoch',
      withRecord({ kills: [{ vmUuid: run.vmUuid, epoch: run.epoch - 1 }] }),
      'not end this run',
    ],
    ['(b) another boot', withRecord({ bootId: 'boot-0' }), 'another boot'],
    ['(b) no control', withRecord({ control: null }), "no other host's record"],
    [
      '(b) the control stood still',
      withRecord({ control: { hostUuid: 'h2', advanced: false } }),
      "no other host's record",
    ],
    [
      '(b) the suspect as control',
      withRecord({ control: { hostUuid: run.hostUuid, advanced: true } }),
      "no other host's record",
    ],
    ['(c) one ms too early', withRecord({ unchangedForMs: 90_000 }), '90000 of 90000 ms'],
    ['(c) no number', withRecord({ unchangedForMs: NaN }), 'stood still for NaN'],
  ])('%s', (_name, change, why) => {
    expect(judged(change)).toContain(why);
  });
});

test('hostUnreachable: one storage of the VM that says so is enough; the others do not spoil it', () => {
  const other = { ...record, storage: 'nfs2', selfFencerArmed: false };
  expect(judged({ records: [other, record] })).toBe('hostUnreachable');
});

test('hostUnreachable: all eligible siblings where there are fewer, and never none', () => {
  expect(judged({ siblings: [first], eligibleSiblings: 1 })).toBe('hostUnreachable');
  expect(judged({ siblings: [], eligibleSiblings: 0 })).toContain('0 of 1');
  expect(judged({ minSiblings: 3 })).toContain('2 of 3');
});

describe('single: one word is enough, without any record, but a sign of life still vetoes', () => {
  const single = { policy: 'single' as const, records: [], siblings: [first] };
  test.each<[Partial<UnreachableFacts>, string]>([
    [{}, 'hostUnreachable'],
    [{ siblings: [] }, '0 of 1'],
    [{ siblings: [first, says('noBanner')] }, 'no silence'],
    [{ siblings: [first, says('stillAlive', { qemuStillAlive: true })] }, 'counts for nothing'],
    [{ signOfLife: true }, 'sign of life'],
  ])('%j: %s', (change, said) => {
    expect(judged({ ...single, ...change })).toContain(said);
  });
});
