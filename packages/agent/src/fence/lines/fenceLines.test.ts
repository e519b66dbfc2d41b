import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import type { FenceNeighbour } from '@fenceline/protocol';
import { dialerTo, FakeProgram, SUSPECT } from '../../../test/fakeProgram.js';
import { pauseMs } from './backoffRules.js';
import { makeFenceLines, type FenceLines } from './fenceLines.js';
import type { StandingLine } from './standingLine.js';

const OTHER = 'bbbbbbbb-2222-4333-8444-555555555555';
const neighbour = (hostUuid = SUSPECT, hostKeys = ['ssh-ed25519 AAAA']): FenceNeighbour => ({
  hostUuid,
  addresses: ['10.0.0.1', '192.168.122.1'],
  sshPort: 22,
  username: 'root',
  hostKeys,
});

interface Rig {
  clock: VirtualClock;
  lines: FenceLines;
  /** The one that an order would take first. */
  lineTo: (hostUuid: string) => StandingLine | undefined;
  dialer: ReturnType<typeof dialerTo>;
  doorDialer: ReturnType<typeof dialerTo>;
  state: () => object | undefined;
}

function rig(
  programs: (FakeProgram | 'refused')[],
  throughDoor: (FakeProgram | 'refused')[] = [],
): Rig {
  const clock = new VirtualClock();
  const dialer = dialerTo(programs, clock);
  const doorDialer = dialerTo(throughDoor, clock);
  const lines = makeFenceLines({
    ...{ clock, random: seededRandom(3), log: silentLogger, dialer },
    doorDialer,
    ownAddresses: async () => ['10.0.0.2', '192.168.122.1'],
  });
  const lineTo = (hostUuid: string) => lines.linesTo(hostUuid)[0];
  return { clock, lines, lineTo, dialer, doorDialer, state: () => lines.states()[0] };
}

test('F27: a line is laid, pinged and told', async () => {
  const program = new FakeProgram();
  const { clock, lines, lineTo, dialer, state } = rig([program]);
  lines.set([neighbour()]);
  expect(state()).toMatchObject({ hostUuid: SUSPECT, way: 'ssh', state: 'connecting' });
  expect(lineTo(SUSPECT)).toBeUndefined();
  await clock.advance(60_000);
  expect(state()).toMatchObject({ state: 'standing', roundTripMs: 0 });
  expect(program.given[0]).toBe('fenceline-peer 1');
  // The address that this host has, too, is left out.
  expect(dialer.dialedTo).toEqual([['10.0.0.1']]);
  const pings = program.given.filter((line) => line.startsWith('ping '));
  expect(pings.length).toBeGreaterThan(4);
  expect(pings.length).toBeLessThan(10);
  expect(lineTo(SUSPECT)?.isFree).toBe(true);
  expect(lineTo(OTHER)).toBeUndefined();
  await lines.stop();
  expect(program.closed).toBe(true);
  expect(clock.pending).toBe(0);
});

test('F27: a host that stalls for half a minute keeps its line, and is told as not answering', async () => {
  const program = new FakeProgram();
  const { clock, lines, state } = rig([program]);
  lines.set([neighbour()]);
  await clock.advance(5_000);
  program.mute = true;
  await clock.advance(30_000);
  expect(state()).toMatchObject({
    state: 'standing',
    why: expect.stringContaining('no answer for'),
  });
  const nonce = program.given.at(-1)?.split(' ')[1] ?? '';
  program.mute = false;
  program.say(`pong ${nonce} host=${SUSPECT} boot=b-1 pidns=4`);
  await clock.advance(100);
  expect(state()).toMatchObject({ state: 'standing' });
  expect(state()).not.toHaveProperty('why');
  await lines.stop();
});

test('F27: a line that stays silent is broken, and laid again', async () => {
  const [first, second] = [new FakeProgram(), new FakeProgram()];
  const { clock, lines, state } = rig([first, second]);
  lines.set([neighbour()]);
  await clock.advance(5_000);
  first.mute = true;
  await clock.advance(65_000);
  expect(first.closed).toBe(true);
  expect(state()).toMatchObject({ state: 'standing' });
  expect(second.given.length).toBeGreaterThan(1);
  await lines.stop();
});

describe('F27: who answers there', () => {
  test.each<[string, (program: FakeProgram) => void, string, string]>([
    ['another host', (p) => (p.host = OTHER), 'broken', 'another host'],
    ['a host of no cluster', (p) => (p.host = '-'), 'broken', 'no cluster'],
    ['another program', (p) => (p.greeting = 'bash-5.2#'), 'broken', 'not the fence program'],
    ['one order each', (p) => (p.greeting = 'fenceline-fence 1'), 'unsupported', 'one order'],
    ['another version', (p) => (p.greeting = 'fenceline-fence 2 line=1'), 'broken', 'not the'],
  ])('%s', async (_what, change, state, why) => {
    const program = new FakeProgram();
    change(program);
    const made = rig([program]);
    made.lines.set([neighbour()]);
    await made.clock.advance(1_000);
    expect(made.state()).toMatchObject({ state, why: expect.stringContaining(why) });
    expect(made.lineTo(SUSPECT)).toBeUndefined();
    expect(program.closed).toBe(true);
    await made.lines.stop();
  });

  test('F22: another boot on the same line makes it worthless', async () => {
    const program = new FakeProgram();
    const made = rig([program]);
    made.lines.set([neighbour()]);
    await made.clock.advance(2_000);
    program.boot = 'b-2';
    await made.clock.advance(15_000);
    expect(program.closed).toBe(true);
    await made.lines.stop();
  });
});

test('F27: a host that refuses is tried for ever, ever less often, never in step', async () => {
  const { clock, lines, dialer, state } = rig([]);
  lines.set([neighbour()]);
  await clock.advance(600_000);
  expect(state()).toMatchObject({ state: 'broken', why: 'the login failed (refused)' });
  expect(dialer.dialedAtMs.length).toBeGreaterThan(8);
  expect(dialer.dialedAtMs.length).toBeLessThan(30);
  await lines.stop();
  expect(clock.pending).toBe(0);
});

test('F27: a new list closes what is not in it and leaves the rest as it is', async () => {
  const [a, b, c] = [new FakeProgram(), new FakeProgram(), new FakeProgram()];
  b.host = OTHER;
  const { clock, lines, lineTo } = rig([a, b, c]);
  lines.set([neighbour()]);
  await clock.advance(1_000);
  lines.set([neighbour(), neighbour(OTHER)]);
  await clock.advance(1_000);
  expect(lines.states().map(({ state }) => state)).toEqual(['standing', 'standing']);
  const before = lineTo(SUSPECT);
  lines.set([neighbour()]);
  expect(lines.states().map(({ hostUuid }) => hostUuid)).toEqual([SUSPECT]);
  expect([a.closed, b.closed]).toEqual([false, true]);
  expect(lineTo(SUSPECT)).toBe(before);
  // Another host key: what was trusted before is not any more.
  lines.set([neighbour(SUSPECT, ['ssh-ed25519 BBBB'])]);
  expect(a.closed).toBe(true);
  expect(lineTo(SUSPECT)).toBeUndefined();
  await lines.stop();
  lines.set([neighbour()]);
  expect(lines.states()).toEqual([]);
});

describe('F27: a host with a second way in', () => {
  const withDoor = (doorPort = 7_071): FenceNeighbour => Object.assign(neighbour(), { doorPort });
  const standing = async (): Promise<Rig & { ssh: FakeProgram; door: FakeProgram }> => {
    const [ssh, door] = [new FakeProgram(), new FakeProgram()];
    const made = rig([ssh], [door]);
    made.lines.set([withDoor()]);
    await made.clock.advance(2_000);
    return { ...made, ssh, door };
  };

  test('F27: a line over each way, at the port of each, SSH first', async () => {
    const { lines, dialer, doorDialer, ssh } = await standing();
    expect(lines.states().map(({ way, state }) => [way, state])).toEqual([
      ['ssh', 'standing'],
      ['door', 'standing'],
    ]);
    expect([dialer.ports, doorDialer.ports]).toEqual([[22], [7_071]]);
    const [first, second, ...more] = lines.linesTo(SUSPECT);
    expect(more).toEqual([]);
    first?.close('the test closes the first one');
    expect(ssh.closed).toBe(true);
    expect(second?.isFree).toBe(true);
    await lines.stop();
  });

  test('F27: one whose ping is overdue comes after one that answers', async () => {
    const { lines, clock, ssh, door } = await standing();
    ssh.mute = true;
    await clock.advance(18_000);
    expect(lines.states().map(({ why }) => why !== undefined)).toEqual([true, false]);
    lines.linesTo(SUSPECT)[0]?.close('the test closes the first one');
    expect([ssh.closed, door.closed]).toEqual([false, true]);
    await lines.stop();
  });

  test('F27: another door, or none, leaves the line over SSH as it is', async () => {
    const { lines, clock, ssh, door, doorDialer } = await standing();
    lines.set([withDoor(7_072)]);
    await clock.advance(2_000);
    expect([ssh.closed, door.closed]).toEqual([false, true]);
    expect(doorDialer.ports.slice(0, 2)).toEqual([7_071, 7_072]);
    lines.set([neighbour()]);
    expect(lines.states().map(({ way }) => way)).toEqual(['ssh']);
    expect(ssh.closed).toBe(false);
    await lines.stop();
    expect(clock.pending).toBe(0);
  });

  test('F22, F27: through the door another host is found out, too', async () => {
    const door = new FakeProgram();
    door.host = OTHER;
    const made = rig([new FakeProgram()], [door]);
    made.lines.set([withDoor()]);
    await made.clock.advance(600);
    expect(made.lines.states()[1]).toMatchObject({
      ...{ way: 'door', state: 'broken' },
      why: expect.stringContaining('another host'),
    });
    expect(made.lines.linesTo(SUSPECT)).toHaveLength(1);
    await made.lines.stop();
  });
});

test('the pauses grow to a minute and are spread by chance', () => {
  expect([1, 2, 3, 7, 50].map((n) => pauseMs(n, 0.5))).toEqual([
    1_000, 2_000, 4_000, 60_000, 60_000,
  ]);
  expect(pauseMs(7, 0)).toBe(30_000);
  expect(pauseMs(7, 0.999)).toBeLessThan(90_000);
});
