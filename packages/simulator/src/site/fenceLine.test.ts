import { expect, test } from '@jest/globals';
import { agentRoutes } from '@fenceline/protocol';
import { leaveQemuBehind, protectedVm, untilSo, type ProtectedVm } from './testing/protectedVm.js';

const limit = { deadlineMs: 10_000 };

/** h1's sshd accepts no new session any more, then its agent and libvirt die; its qemu lives on. */
async function noNewLogin(perHost: number, backoffMin?: number[]): Promise<ProtectedVm> {
  const made = await protectedVm({
    seed: 7,
    settings: ({ ha }) => {
      ha.fenceLine.perHost = perHost;
      ha.restart.backoffMin = backoffMin ?? ha.restart.backoffMin;
    },
  });
  const { site, api } = made;
  if (perHost > 0)
    await untilSo(site, async () => {
      const { canBeFencedBy } = await api.showHost({ host: 'h1' }, limit);
      return canBeFencedBy.every(({ line }) => line === 'standing');
    });
  site.world.host('h1').sshd = 'stopped';
  leaveQemuBehind(site, 'h1');
  return made;
}
const startsSince = ({ site }: ProtectedVm, sinceMs: number): number =>
  site.listeners.calls.filter(
    ({ path, atMs }) => path === agentRoutes.vmStart.path && atMs >= sinceMs,
  ).length;

test('F27: a fence over the line where no new login is possible; its tokens are renewed', async () => {
  const made = await noNewLogin(2);
  const { site, api } = made;
  await untilSo(site, async () => {
    const vm = await api.showVm({ vm: 'web1' }, limit);
    return vm.state === 'Running' && vm.hostName !== 'h1' && vm.openTaskUuid === null;
  });
  await site.world.clock.advance(5_000);
  expect(site.check('web1')).toMatchObject({ verdict: 'oneWriter', lives: 2 });
  const asked = site.listeners.calls.filter(({ path }) => path === agentRoutes.fenceVm.path);
  const given = asked.map(({ fields }) => (fields as { orderToken?: string }).orderToken);
  expect(given[0]).toMatch(/^[0-9a-f]{32}$/);
  // The one that was used is gone; the spare ones still lie there.
  expect(site.world.host('h1').memory.run.orderTokens.size).toBe(15);
  site.world.host('h1').sshd = 'running';
  site.world.host('h1').startLibvirtd();
  site.agent('h1').revive();
  await untilSo(site, async () => (await api.showHost({ host: 'h1' }, limit)).orderTokens === 16);
  const renewed = [...site.world.host('h1').memory.run.orderTokens];
  expect(renewed.filter((token) => given.includes(token))).toEqual([]);
});

test('F27: without a line such a host is not fenced, and nothing is started', async () => {
  const made = await noNewLogin(0);
  const sinceMs = made.site.world.clock.monotonicMs();
  await made.site.world.clock.advance(60_000);
  expect(startsSince(made, sinceMs)).toBe(0);
  expect(made.site.runningOn('web1').map(({ name }) => name)).toEqual(['h1']);
});

test('F29a: a host whose tokens are gone with its boot is not fenced before it was connected', async () => {
  const made = await protectedVm({ seed: 9 });
  const { site } = made;
  site.world.host('h1').memory.run.orderTokens.clear();
  leaveQemuBehind(site, 'h1');
  const sinceMs = site.world.clock.monotonicMs();
  await site.world.clock.advance(30_000);
  expect(startsSince(made, sinceMs)).toBe(0);
  expect(site.world.host('h1').memory.run.barriers.size).toBe(0);
  expect(site.runningOn('web1').map(({ name }) => name)).toEqual(['h1']);
});

test('F29a: login after login that fails uses no token up, and the first that works ends it', async () => {
  const made = await noNewLogin(0, [0, 1]);
  const { site, api } = made;
  const held = site.world.host('h1').memory.run.orderTokens;
  const before = [...held];
  await site.world.clock.advance(20 * 60_000);
  const asked = site.listeners.calls.filter(({ path }) => path === agentRoutes.fenceVm.path);
  // Two peers each time, and three tokens in each call.
  expect(asked.length * 3).toBeGreaterThan(4 * before.length);
  expect([...held]).toEqual(before);
  site.world.host('h1').sshd = 'running';
  await untilSo(
    site,
    async () => (await api.showVm({ vm: 'web1' }, limit)).hostName !== 'h1',
    180_000,
  );
  expect(site.check('web1')).toMatchObject({ verdict: 'oneWriter' });
});
