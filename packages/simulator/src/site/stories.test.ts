import { expect, test } from '@jest/globals';
import { agentRoutes } from '@fenceline/protocol';
import type { Cut } from '../world/network.js';
import { leaveQemuBehind, protectedVm, untilSo } from './testing/protectedVm.js';

test('F21, F33: a qemu that is dying is not taken for a VM that runs (found with seed 169)', async () => {
  const { site, api } = await protectedVm({ seed: 169 });
  const { world } = site;
  world.storage.hang('h1');
  await world.clock.advance(2_000);
  site.agent('h1').crash({ stays: true });
  await world.clock.advance(6_000);
  site.agent('h1').revive();
  // A sibling kills the qemu, which can't end; the agent is back and shows it; a retry sees it.
  await world.clock.advance(200_000);
  expect(site.runningOn('web1').map(({ name }) => name)).toEqual(['h1']);
  world.storage.resume('h1');
  await untilSo(
    site,
    async () => {
      const vm = await api.showVm({ vm: 'web1' }, { deadlineMs: 10_000 });
      return (
        vm.state === 'Running' && vm.openTaskUuid === null && site.runningOn('web1').length > 0
      );
    },
    30 * 60_000,
  );
  await world.clock.advance(5_000);
  expect(site.runningOn('web1')).toHaveLength(1);
  expect(site.check('web1')).toMatchObject({ verdict: 'oneWriter', lives: 2 });
});

test('D2: an agent that restarts costs nobody anything: no fence, no start, the VM runs on', async () => {
  const { site, api } = await protectedVm({ seed: 1 });
  const { world } = site;
  const starts = (): number =>
    site.listeners.calls.filter(({ path }) => path === agentRoutes.vmStart.path).length;
  const before = starts();
  site.agent('h1').crash({ stays: false });
  await world.clock.advance(60_000);
  const vm = await api.showVm({ vm: 'web1' }, { deadlineMs: 10_000 });
  expect([vm.state, vm.hostName, vm.openTaskUuid]).toEqual(['Running', 'h1', null]);
  expect(starts()).toBe(before);
  expect(site.check('web1')).toMatchObject({ verdict: 'oneWriter', lives: 1 });
});

async function startThenCut(cut: Cut) {
  const { site, api } = await protectedVm({
    seed: 1,
    settings: ({ ha }) => {
      ha.restart.startTimeoutMs = 15_000;
      ha.restart.backoffMin = [0, 0.1];
    },
  });
  const { world } = site;
  leaveQemuBehind(site, 'h1');
  const sent = () => site.listeners.calls.filter(({ path }) => path === agentRoutes.vmStart.path);
  const before = sent().length;
  await untilSo(site, () => sent().length > before);
  const destination = sent().at(-1)?.host ?? '';
  world.network.cut(destination, cut);
  await world.clock.advance(40_000);
  const during = world.trace.text();
  for (const { name } of world.hosts) world.network.cut(name, 'none');
  await world.clock.advance(60_000);
  const vm = await api.showVm({ vm: 'web1' }, { deadlineMs: 10_000 });
  const shown = { state: vm.state, host: vm.hostName, taskUuid: vm.openTaskUuid };
  return { site, destination, during, shown };
}

test('D13: a run that its event has shown is seen, though nobody can be asked (seed 3262)', async () => {
  const { during, shown, destination } = await startThenCut('in');
  expect(during).toContain(`VM web1 is seen running on ${destination} (run 2)`);
  expect(shown).toEqual({ state: 'Running', host: destination, taskUuid: null });
});

test('F33, F38: a start whose answer was lost is found again, and shown where it runs', async () => {
  const { site, shown, destination } = await startThenCut('both');
  expect(shown).toEqual({ state: 'Running', host: destination, taskUuid: null });
  expect(site.check('web1').verdict).toBe('oneWriter');
});
