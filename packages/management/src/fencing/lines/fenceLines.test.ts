import { afterEach, describe, expect, test } from '@jest/globals';
import type { FenceLinesCmd, FenceLineState } from '@fenceline/protocol';
import { hostUuid } from '../../hosts/testing/world.js';
import { readinessRig, type ReadinessRig } from '../testing/readinessRig.js';
import { byUse, type LineSeen } from './lineWatch.js';

let rig: ReadinessRig;
afterEach(() => rig?.stop());

/** The hosts, by number, that host n was told last to keep a line to. */
const told = (n: number): number[] | undefined => {
  const last = rig.gateway.callsOf('fenceLines', hostUuid(n)).at(-1)?.command as FenceLinesCmd;
  return last?.neighbours.map((one) => Number(one.hostUuid.slice(-2)));
};
const line = (n: number, change: Partial<FenceLineState> = {}): FenceLineState => ({
  hostUuid: hostUuid(n),
  way: 'ssh',
  state: 'standing',
  forMs: 1,
  roundTripMs: 2,
  ...change,
});

test('F27: each host is told whom to keep a line to, and how to get in there', async () => {
  rig = await readinessRig(4);
  await rig.clock.advance(6_000);
  expect([told(1), told(2), told(3), told(4)]).toEqual([
    [3, 4],
    [1, 4],
    [1, 2],
    [2, 3],
  ]);
  const [call] = rig.gateway.callsOf('fenceLines', hostUuid(2));
  expect(call?.command).toHaveProperty('neighbours.0', {
    hostUuid: hostUuid(1),
    addresses: ['192.0.2.1'],
    sshPort: 22,
    username: 'root',
    hostKeys: rig.agents[0]?.sshHostKeys,
  });
  const calls = rig.gateway.callsOf('fenceLines').length;
  await rig.clock.advance(60_000);
  expect(rig.gateway.callsOf('fenceLines')).toHaveLength(calls);
});

test('F27: a host with a second way in is known by it, as of its last connect', async () => {
  rig = await readinessRig(3);
  const agent = rig.agents[0];
  if (agent !== undefined) agent.doorPort = 7_171;
  await rig.hosts.inventory.reconnect(hostUuid(1));
  await rig.clock.advance(12_000);
  const doors = (): (number | undefined)[] => {
    const last = rig.gateway.callsOf('fenceLines', hostUuid(2)).at(-1)?.command as FenceLinesCmd;
    return last.neighbours.map(({ doorPort }) => doorPort);
  };
  expect(told(2)).toEqual([1, 3]);
  expect(doors()).toEqual([7_171, undefined]);
  if (agent !== undefined) agent.doorPort = undefined;
  await rig.hosts.inventory.reconnect(hostUuid(1));
  await rig.clock.advance(12_000);
  expect(doors()).toEqual([undefined, undefined]);
});

test('F27: an agent that restarts moves no line, and is told again', async () => {
  rig = await readinessRig(4);
  await rig.clock.advance(6_000);
  const others = (): number =>
    [1, 2, 4].reduce((sum, n) => sum + rig.gateway.callsOf('fenceLines', hostUuid(n)).length, 0);
  const before = others();
  rig.agents[2]?.killAgent();
  await rig.clock.advance(20_000);
  rig.agents[2]?.startAgent('instance-2');
  await rig.clock.advance(20_000);
  expect(others()).toBe(before);
  expect(told(3)).toEqual([1, 2]);
  expect(rig.gateway.callsOf('fenceLines', hostUuid(3)).length).toBeGreaterThan(1);
});

test('F27: of a host that stays away the lines to it stay, and its own ones are taken over', async () => {
  rig = await readinessRig(4);
  await rig.clock.advance(6_000);
  rig.agents[2]?.powerOff();
  await rig.clock.advance(90_000);
  expect([told(1), told(2), told(4)]).toEqual([
    [2, 3, 4],
    [1, 4],
    [1, 2, 3],
  ]);
});

test('F27: a push that fails is made again', async () => {
  rig = await readinessRig(2, {
    prepare: ({ settings }) => void (settings.ha.fenceLine.perHost = 1),
  });
  const agent = rig.agents[0];
  if (agent !== undefined) agent.scripts['fenceLines'] = { fails: new Error('not now') };
  rig.settings.ha.fenceLine.perHost = 0;
  await rig.clock.advance(12_000);
  if (agent !== undefined) agent.scripts = {};
  const before = rig.gateway.callsOf('fenceLines', hostUuid(1)).length;
  await rig.clock.advance(6_000);
  expect(rig.gateway.callsOf('fenceLines', hostUuid(1))).toHaveLength(before + 1);
  expect(told(1)).toEqual([]);
});

describe('F27: what is seen of the lines', () => {
  test('F27: a host without a standing line for two minutes is an alarm, once, until it has one', async () => {
    rig = await readinessRig(3);
    const [a, b, c] = rig.agents;
    if (a === undefined || b === undefined || c === undefined) throw new Error('three hosts');
    b.fenceLines = [line(1, { state: 'broken', why: 'no' }), line(3)];
    c.fenceLines = [line(2)];
    a.fenceLines = [line(2), line(3)];
    await rig.clock.advance(100_000);
    expect(rig.kinds()).not.toContain('fence.line.none');
    await rig.clock.advance(200_000);
    const none = rig.seen.filter(({ kind }) => kind === 'fence.line.none');
    expect(none).toMatchObject([{ hostUuid: hostUuid(1), severity: 'warning' }]);
    expect(rig.readiness.lines.missingSince(hostUuid(1))).toBeDefined();
    expect(rig.readiness.lines.missingSince(hostUuid(2))).toBeUndefined();
    c.fenceLines = [line(1), line(2)];
    await rig.clock.advance(20_000);
    expect(rig.kinds().filter((kind) => kind === 'fence.line.back')).toHaveLength(1);
    expect(rig.readiness.lines.missingSince(hostUuid(1))).toBeUndefined();
  });

  test('F27: of two ways of one keeper the better one counts, and both are told', async () => {
    rig = await readinessRig(2);
    const [, b] = rig.agents;
    if (b === undefined) throw new Error('two hosts');
    const seen = async (...lines: FenceLineState[]) => {
      b.fenceLines = lines;
      await rig.clock.advance(10_000);
      return rig.readiness.lines.linesTo(hostUuid(1));
    };
    const door = line(1, { way: 'door', roundTripMs: 1 });
    expect(await seen(door, line(1))).toMatchObject([
      { ways: ['ssh', 'door'], roundTripMs: 2, answers: true },
    ]);
    expect(await seen(line(1, { why: 'no answer for 9 s' }), door)).toMatchObject([
      { ways: ['door', 'ssh'], roundTripMs: 1, answers: true },
    ]);
    expect(await seen(line(1, { state: 'broken', why: 'no' }), door)).toMatchObject([
      { ways: ['door'], state: 'standing', answers: true },
    ]);
  });

  test('F27: only keepers whose heartbeats arrive are believed', async () => {
    rig = await readinessRig(3);
    const [, b, c] = rig.agents;
    if (b === undefined || c === undefined) throw new Error('three hosts');
    b.fenceLines = [line(1, { roundTripMs: 9 })];
    c.fenceLines = [line(1, { roundTripMs: 3 })];
    await rig.clock.advance(10_000);
    const keepers = (): string[] =>
      rig.readiness.lines.linesTo(hostUuid(1)).map(({ keeperUuid }) => keeperUuid);
    expect(keepers()).toEqual([hostUuid(3), hostUuid(2)]);
    c.powerOff();
    await rig.clock.advance(20_000);
    expect(keepers()).toEqual([hostUuid(2)]);
  });
});

test('F12: lines that answer come first, then those that stand, the quick before the slow', () => {
  const seen = (keeperUuid: string, change: Partial<LineSeen>): LineSeen => ({
    ...{ keeperUuid, ways: ['ssh'], state: 'standing', roundTripMs: 1, answers: true },
    ...change,
  });
  const all = [
    seen('a', { state: 'broken', answers: false, roundTripMs: null }),
    seen('b', { answers: false }),
    seen('c', { roundTripMs: 5 }),
    seen('d', {}),
    seen('e', {}),
  ];
  expect(all.toSorted(byUse).map(({ keeperUuid }) => keeperUuid)).toEqual([
    'd',
    'e',
    'c',
    'b',
    'a',
  ]);
});
