import { expect, test } from '@jest/globals';
import { protectedVm, untilSo } from './testing/protectedVm.js';

test('F21, F33: a qemu that is dying is not taken for a VM that runs (found with seed 169)', async () => {
  const { site, api } = await protectedVm({ seed: 169 });
  const { world } = site;
  world.storage.hang('h1');
  await world.clock.advance(2_000);
  site.agent('h1').crash({ stays: false });
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
