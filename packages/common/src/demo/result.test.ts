import { expect, test } from '@jest/globals';
import { EventView } from '@fenceline/protocol';
import { milestoneLines, table, wrapped } from './render.js';
import { resultOf, type Seen } from './result.js';
import { milestonesOf, stagesOf } from './stages.js';
import { scenarioOf } from './story.js';

const faultAtMs = Date.parse('2026-01-01T00:00:10.000Z');
const of = { vmUuid: 'vm', hostUuid: 'h1', faultAtMs };
const event = (afterMs: number, kind: string, change: Partial<EventView> = {}): EventView =>
  Object.assign(new EventView(), {
    kind,
    at: new Date(faultAtMs + afterMs).toISOString(),
    vmUuid: 'vm',
    text: kind,
    facts: {},
    ...change,
  });
const judged = (afterMs: number, action: string, hostUuid = 'h1') =>
  event(afterMs, 'host.judged', { hostUuid, vmUuid: null, facts: { action } });

const refusal = [
  judged(300, 'alarm'),
  judged(400, 'fence'),
  judged(450, 'fence', 'h2'),
  event(410, 'ha.fence.asked'),
  event(415, 'ha.fence.asked', { vmUuid: 'another' }),
  event(20_000, 'ha.task.refused'),
];
const restart = [
  event(140_000, 'ha.fence.asked'),
  event(140_100, 'ha.fence.proof'),
  event(140_101, 'ha.placed'),
  event(140_102, 'ha.start.sent'),
  event(140_400, 'vm.seenRunning'),
];

test('the events of one VM become stages whose times add up', () => {
  const milestones = milestonesOf([...refusal, ...restart], of);
  expect(stagesOf(milestones)).toEqual([
    { name: 'detection', ms: 400 },
    { name: 'fence asked', ms: 10 },
    { name: 'refusal', ms: 19_590 },
    { name: 'retry', ms: 120_000 },
    { name: 'proof', ms: 100 },
    { name: 'placement', ms: 1 },
    { name: 'start sent', ms: 1 },
    { name: 'seen running', ms: 298 },
  ]);
});

const good: Seen = {
  milestones: milestonesOf([...refusal, ...restart], of),
  startsSent: 1,
  startsBeforeReturn: 0,
  liveWriters: 1,
  waysOut: [],
};

test.each([
  // what was seen  what is said of it
  [{}, undefined],
  [{ startsSent: 2 }, '2 start commands were sent'],
  [{ liveWriters: 2 }, '2 live writers'],
  [{ startsBeforeReturn: 1 }, '1 start commands were sent before the storage returned'],
  [{ milestones: milestonesOf(refusal, of) }, 'it was refused, not restarted'],
])('stuck with %j', (change, broken) => {
  const result = resultOf(scenarioOf('stuck'), { ...good, ...change });
  expect(result.asPromised).toBe(broken === undefined);
  if (broken !== undefined) expect(result.broken.join()).toContain(broken);
});

test('a restart that takes too long is not as promised', () => {
  const { milestones, ...rest } = good;
  expect(resultOf(scenarioOf('leftover'), { ...rest, milestones })).toMatchObject({
    asPromised: false,
    outcome: 'restarted',
    endToEndMs: 140_400,
    broken: ['it took 140400 ms, more than 10000 ms'],
  });
});

test('a refusal without a way out is not as promised', () => {
  const seen = { ...good, startsSent: 0, milestones: milestonesOf(refusal, of) };
  const scenario = scenarioOf('dead-no-power');
  expect(resultOf(scenario, seen).broken).toEqual(['no way out was shown']);
  expect(resultOf(scenario, { ...seen, waysOut: ['confirm-dead'] })).toMatchObject({
    asPromised: true,
    outcome: 'refused',
    endToEndMs: 20_000,
  });
});

test('lines are cut between words and stand in columns', () => {
  expect(wrapped('one two three', 7)).toEqual(['one two', 'three']);
  expect(
    table([
      ['A', 'B'],
      ['long', 'x'],
    ]),
  ).toEqual(['  A     B', '  long  x']);
  const lines = milestoneLines({ stage: 'proof', atMs: 1_234, text: 'x '.repeat(100) });
  expect(lines[0]).toMatch(/^ +\+1\.23 s {2}proof +x x/);
  expect(lines.every((line) => line.length <= 100)).toBe(true);
});
