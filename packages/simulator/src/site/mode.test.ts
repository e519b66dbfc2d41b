import { expect, test } from '@jest/globals';
import type { Settings } from '@fenceline/management';
import type { SimSite } from './simSite.js';
import { leaveQemuBehind, protectedVm, untilSo, type ProtectedVm } from './testing/protectedVm.js';

const limit = { deadlineMs: 10_000 };
const lives = (site: SimSite): string[] => site.runningOn('web1').map(({ name }) => name);

/** `h1` was judged dead, its qemu lives, and nobody can log in there: the task is refused. */
async function openTask(settings?: (settings: Settings) => void): Promise<ProtectedVm> {
  const world = await protectedVm({
    seed: 7,
    settings: (all) => {
      all.ha.fenceLine.perHost = 0;
      settings?.(all);
    },
  });
  world.site.world.host('h1').sshd = 'stopped';
  leaveQemuBehind(world.site, 'h1');
  await world.site.world.clock.advance(20_000);
  return world;
}

test('D8: detect-only while a task is open: no VM is killed or moved; active again: it is brought back', async () => {
  const { site, api } = await openTask();
  const { clock } = site.world;
  await api.putSetting({ name: 'ha.mode', value: 'detect-only' }, limit);
  await clock.advance(1_000);
  site.world.host('h1').sshd = 'running';
  await clock.advance(40 * 60_000);
  expect(lives(site)).toEqual(['h1']);
  const { items } = await api.listTasks({ vm: 'web1', limit: 1 }, limit);
  expect(items[0]).toMatchObject({
    endedAt: null,
    waitsFor: 'HA does not act (ha.mode is detect-only)',
  });
  await api.putSetting({ name: 'ha.mode', value: null }, limit);
  await untilSo(site, () => lives(site).length === 1 && lives(site)[0] !== 'h1');
  expect(site.check('web1').verdict).toBe('oneWriter');
}, 120_000);

/**
 * The backup knows the open task and the run on `h1`; later the VM moved. The server begins anew with
 * the backup, and does not reach where the VM lives.
 */
async function restored(mode: 'active' | 'detect-only', storedMode?: 'active') {
  let inFile: typeof mode = 'active';
  const { site, api } = await openTask(({ ha }) => void (ha.mode = inFile));
  const { clock, network } = site.world;
  if (storedMode !== undefined) await api.putSetting({ name: 'ha.mode', value: storedMode }, limit);
  const backup = site.server.backup();
  site.world.host('h1').sshd = 'running';
  await untilSo(site, () => lives(site).length === 1 && lives(site)[0] !== 'h1', 40 * 60_000);
  const where = lives(site)[0] ?? '';
  site.world.host('h1').startLibvirtd();
  site.agent('h1').revive();
  await clock.advance(10 * 60_000);
  site.server.crash();
  site.server.restore(backup);
  inFile = mode;
  return { site, api, where, clock, network };
}

test.each([undefined, 'active'] as const)(
  'F37: the recipe for a restored backup works, with ha.mode %s in that database: the old task starts nothing',
  async (storedMode) => {
    const { site, clock, network, where } = await restored('detect-only', storedMode);
    network.cut(where, 'both');
    void site.server.start();
    await clock.advance(60_000);
    network.cut(where, 'none');
    await clock.advance(60_000);
    expect([lives(site), site.check('web1').verdict]).toEqual([[where], 'oneWriter']);
  },
  120_000,
);

test('F37, F38: a server that starts waits for hosts that are a moment late with their VMs', async () => {
  const { site, clock, network, where } = await restored('active');
  network.cut(where, 'both');
  void site.server.start();
  await clock.advance(2_500);
  network.cut(where, 'none');
  await clock.advance(120_000);
  expect([lives(site), site.check('web1').verdict]).toEqual([[where], 'oneWriter']);
}, 120_000);
