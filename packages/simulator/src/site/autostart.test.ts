import { expect, test } from '@jest/globals';
import { protectedVm, untilSo } from './testing/protectedVm.js';

const limit = { deadlineMs: 10_000 };

/** A VM on h1 that libvirt starts with its host; its hook does not refuse it. */
async function rebooted({ isProtected, seed }: { isProtected: boolean; seed: number }) {
  const { site, api } = await protectedVm({
    seed,
    settings: ({ ha }) => void (ha.agentDown.withoutHeartbeat = 'alarm'),
  });
  const { world } = site;
  const { uuid, disk } = site.defineVm('web2');
  const h1 = world.host('h1');
  const xml = h1.definitions.get(uuid)?.xml ?? '';
  await world.clock.settle(h1.libvirtd?.create(xml) ?? Promise.reject(new Error('no libvirt')));
  const state = async () =>
    (await api.showVm({ vm: 'web2' }, limit).catch(() => undefined))?.state ?? 'Unknown';
  await untilSo(site, async () => (await state()) === 'Running');
  if (isProtected) await api.protectVm({ vm: 'web2', level: 'onHostFailure' }, limit);
  await world.clock.advance(10_000);
  h1.powerOff();
  await world.clock.advance(30_000);
  h1.powerOn();
  const onMs = world.clock.monotonicMs();
  void h1.libvirtd?.create(xml);
  await world.clock.advance(60_000);
  const lives = world.storage
    .history(disk)
    .opens.filter(({ fromMs }) => fromMs >= onMs)
    .map(({ toMs }) => (toMs === undefined ? 'alive' : 'ended'));
  const { runs } = await api.showVm({ vm: 'web2' }, limit);
  return { lives, runs, state: await state() };
}

test.each([
  { isProtected: false, seed: 1 },
  { isProtected: false, seed: 2 },
  { isProtected: true, seed: 1 },
  { isProtected: true, seed: 2 },
])('I3: what libvirt starts with its host is a newer run, not the old one: %j', async (how) => {
  const { lives, runs, state } = await rebooted(how);
  expect(lives).toEqual(['alive']);
  expect(state).toBe('Running');
  expect(runs).toMatchObject([
    { epoch: 2, state: 'running' },
    { epoch: 1, state: 'closed', proofKind: 'hostRebooted' },
  ]);
});
