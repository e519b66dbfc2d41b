import { expect, test } from '@jest/globals';
import { bestLevel, makeScan, MAX_SCANNERS, SCAN_ROUND_MS } from './scan.js';
import { hostUuid, makeWorld } from './testing/world.js';

const suspectUuid = hostUuid(1);

async function scanned(count: number, prepare: (world: Awaited<ReturnType<typeof rig>>) => void) {
  const world = await rig(count);
  prepare(world);
  const suspect = await world.repository.get(suspectUuid);
  const result = await world.clock.settle(world.scan(suspect, new AbortController().signal));
  return { ...world, result };
}

async function rig(count: number) {
  const world = await makeWorld();
  const agents = [];
  for (let n = 1; n <= count; n += 1) agents.push(await world.addHost(n));
  const signs: string[] = [];
  const deaf = new Set<string>();
  const presence = {
    lastSignOfLifeMs: () => undefined,
    noteSignOfLife: (uuid: string, what: string) =>
      void signs.push(`${uuid.slice(-1)} ${what.split(' ')[0]}`),
    linkUp: () => true,
    lastHeartbeat: () => undefined,
    bootId: () => undefined,
    liveVms: () => undefined,
  };
  const hears = (uuid: string) => !deaf.has(uuid);
  const scan = makeScan({ ...world, presence, hears });
  return { ...world, agents, scan, signs, deaf };
}

const see = (
  { agents }: Awaited<ReturnType<typeof rig>>,
  sights: Record<number, { level: 'agent' | 'kernel' | 'nothing'; unstable?: boolean }>,
) => {
  for (const [n, sight] of Object.entries(sights))
    agents[Number(n) - 1]?.scans.set(suspectUuid, sight);
};

test.each([
  [[], 'unseen', 'nobody could look'],
  [['nothing'], 'nothing', 'one looked and saw nothing'],
  [['nothing', 'kernel'], 'kernel', 'one sight outweighs blindness'],
  [['kernel', 'agent', 'nothing'], 'agent', 'the best thing counts'],
] as ['nothing'[], string, string][])('D4: %j is %s: %s', (levels, expected) => {
  expect(bestLevel(levels.map((level) => ({ level })))).toBe(expected);
});

test('F6: the siblings that answered are the vetted list, best first', async () => {
  const { result } = await scanned(5, (world) => {
    see(world, {
      2: { level: 'nothing' },
      3: { level: 'kernel' },
      4: { level: 'agent' },
      5: { level: 'nothing', unstable: true },
    });
  });
  expect(result.views.map(({ siblingHostUuid }) => siblingHostUuid.slice(-1))).toEqual([
    '4',
    '5',
    '3',
    '2',
  ]);
  expect(result.atSibling).toBe('agent');
});

test('D4: unstable counts as "agent answers", and every sight is a sign of life', async () => {
  const { result, signs } = await scanned(3, (world) => {
    see(world, { 2: { level: 'nothing', unstable: true }, 3: { level: 'nothing' } });
  });
  expect(result.atSibling).toBe('agent');
  expect(signs).toEqual(['1 agent']);
});

test('D4: siblings look in parallel within one deadline; one that hangs costs no more', async () => {
  const world = await rig(4);
  see(world, { 2: { level: 'kernel' }, 3: { level: 'kernel' } });
  for (const one of world.agents.slice(1, 3)) one.scripts['scanHost'] = { delayMs: 1_000 };
  const hung = world.agents[3];
  if (hung !== undefined) hung.scripts['scanHost'] = { delayMs: 60_000 };
  const suspect = await world.repository.get(suspectUuid);
  const result = await world.clock.settle(world.scan(suspect, new AbortController().signal));
  expect(world.clock.monotonicMs()).toBeLessThanOrEqual(SCAN_ROUND_MS);
  expect(result).toMatchObject({ asked: 3, atSibling: 'kernel' });
  expect(result.views).toHaveLength(2);
});

test('D4: only siblings that the server hears are asked, and never the suspect', async () => {
  const { gateway, result } = await scanned(3, ({ deaf }) => deaf.add(hostUuid(2)));
  expect(gateway.callsOf('scanHost').map((call) => call.hostUuid)).toEqual([hostUuid(3)]);
  expect(result.asked).toBe(1);
});

test('the number of siblings is bounded, Enabled ones first', async () => {
  const world = await rig(12);
  for (let n = 2; n <= 9; n += 1) await world.repository.applyState(hostUuid(n), 'disable', 'test');
  const suspect = await world.repository.get(suspectUuid);
  await world.clock.settle(world.scan(suspect, new AbortController().signal));
  const asked = world.gateway.callsOf('scanHost').map((call) => call.hostUuid);
  expect(asked).toHaveLength(MAX_SCANNERS);
  for (const n of [10, 11, 12]) expect(asked).toContain(hostUuid(n));
});
