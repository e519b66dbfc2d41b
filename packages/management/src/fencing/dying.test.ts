import { describe, expect, test } from '@jest/globals';
import { VirtualClock } from '@fenceline/common/testing';
import type { PeerEvidence } from '../messages/types.js';
import { DyingRuns } from './dying.js';

const run = { hostUuid: 'h1', bootId: 'b1', vmUuid: 'vm', epoch: 1 };

const said = (outcome: string, pids: number[], change: Partial<PeerEvidence> = {}) => ({
  ...{ peerHostUuid: 'h2', success: true, outcome, hostUuid: 'h1', bootId: 'b1', disks: [] },
  ...{ qemuConfirmedDead: false, qemuStillAlive: false, targetHostUnreachable: false },
  killed: pids.map((pid) => ({ pid, startTime: 5, epoch: 1 })),
  ...change,
});

function told(outcome: string, pids: number[]) {
  const clock = new VirtualClock();
  const dying = new DyingRuns(clock);
  dying.noteOrder(run, [said(outcome, pids)]);
  return { clock, dying };
}

describe('F29a: a look, before an order that would cost a token', () => {
  test.each<[string, PeerEvidence[], string]>([
    ['the same process', [said('stillAlive', [7])], 'still-there'],
    ['nothing of it', [said('noNonce', [])], 'changed'],
    ['another process', [said('stillAlive', [8])], 'changed'],
    ['the same and another one', [said('stillAlive', [7, 8])], 'changed'],
    ['another boot', [said('noNonce', [7], { bootId: 'b2' })], 'changed'],
    ['an answer of another host', [said('stillAlive', [7], { hostUuid: 'h9' })], 'not-answered'],
    ['no login', [said('authFailed', [], { hostUuid: undefined as never })], 'not-answered'],
    ['nobody to ask', [], 'not-answered'],
  ])('%s: %3$s', (_what, evidence, word) => {
    expect(told('stillAlive', [7]).dying.judgeLook(run, evidence)).toBe(word);
  });

  test('what no order told to die is not looked at first', () => {
    const { dying } = told('unreachable', []);
    expect(dying.has(run)).toBe(false);
    expect(told('stillAlive', [7]).dying.has({ ...run, epoch: 2 })).toBe(false);
  });

  test('where no process is left, only a new order can tell: ever more seldom', async () => {
    const { clock, dying } = told('notDrained', []);
    const waits: number[] = [];
    for (let n = 0; n < 10; n += 1) {
      let ms = 0;
      while (dying.judgeLook(run, [said('noNonce', [])]) === 'too-early') {
        await clock.advance(10_000);
        ms += 10_000;
      }
      waits.push(ms / 1_000);
      dying.noteOrder(run, [said('notDrained', [])]);
    }
    expect(waits).toEqual([10, 20, 40, 80, 160, 320, 640, 1_280, 1_800, 1_800]);
  });
});
