import { expect, test } from '@jest/globals';
import { agentRoutes } from '@fenceline/protocol';
import type { SimSite } from './simSite.js';
import { protectedVm, untilSo } from './testing/protectedVm.js';

const BACK = /came back under the same boot/;

/** `h1` is missed while its VM lives: its agent has ended, and its sshd takes nobody in. */
async function missed(forMs: number): Promise<SimSite> {
  const { site } = await protectedVm({
    seed: 7,
    settings: ({ ha }) => void (ha.fenceLine.perHost = 0),
  });
  site.world.host('h1').sshd = 'stopped';
  site.agent('h1').crash({ stays: true });
  await site.world.clock.advance(forMs);
  return site;
}

/** Orders that could kill the VM, given from `fromMs` on. */
const orders = (site: SimSite, fromMs: number): string[] =>
  site.listeners.calls
    .filter(({ path }) => path === agentRoutes.fenceVm.path || path === agentRoutes.vmDestroy.path)
    .filter(({ atMs }) => atMs >= fromMs)
    .map(({ host, path }) => `${host} ${path}`);

const lives = (site: SimSite): string[] => site.runningOn('web1').map(({ name }) => name);

test('D6: a host that came back in time keeps its VM: the order that is out is called off, no further one given', async () => {
  const site = await missed(20_000);
  const { world } = site;
  site.agent('h1').revive();
  await untilSo(site, () => BACK.test(world.trace.text()));
  const from = world.clock.monotonicMs();
  // The order that waits at its door would be carried out now.
  world.host('h1').sshd = 'running';
  await world.clock.advance(30_000);
  expect(orders(site, from)).toEqual([]);
  expect([lives(site), site.check('web1').lives]).toEqual([['h1'], 1]);
}, 120_000);

test('D6: a question that fails does not make a host that came back a suspect again', async () => {
  const site = await missed(70_000);
  const { world } = site;
  let asked = 0;
  site.listeners.script('h1', agentRoutes.vmStatus.path, () => {
    asked += 1;
    if (asked > 1) return undefined;
    return { status: 503, body: { success: false, error: { code: 'BUSY', message: 'x' } } };
  });
  const from = world.clock.monotonicMs();
  site.agent('h1').revive();
  await untilSo(site, () => BACK.test(world.trace.text()));
  world.host('h1').sshd = 'running';
  await world.clock.advance(180_000);
  expect(asked).toBeGreaterThan(1);
  expect(orders(site, from)).toEqual([]);
  expect([lives(site), site.check('web1').lives]).toEqual([['h1'], 1]);
}, 120_000);
