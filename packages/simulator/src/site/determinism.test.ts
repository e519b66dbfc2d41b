import { createHook } from 'node:async_hooks';
import { expect, test } from '@jest/globals';
import { leaveQemuBehind, protectedVm, untilSo } from './testing/protectedVm.js';

async function failover(seed: number): Promise<string> {
  const { site } = await protectedVm({ seed });
  leaveQemuBehind(site, 'h1');
  await untilSo(site, () => site.runningOn('web1').some(({ name }) => name !== 'h1'));
  await site.world.clock.advance(5_000);
  const { writes } = site.world.storage.history('/srv/shared/web1.img');
  return site.world.trace.text() + JSON.stringify(writes);
}

test('the same seed gives the same trace, byte for byte; another seed another one', async () => {
  const first = await failover(7);
  expect(await failover(7)).toBe(first);
  expect(await failover(8)).not.toBe(first);
});

test('nothing but promises and immediates is created while a site runs', async () => {
  const { site } = await protectedVm({ seed: 3 });
  const types = new Set<string>();
  const hook = createHook({ init: (_id, type) => void types.add(type) });
  hook.enable();
  leaveQemuBehind(site, 'h1');
  await untilSo(site, () => site.runningOn('web1').some(({ name }) => name !== 'h1'));
  hook.disable();
  expect([...types].toSorted()).toEqual(['Immediate', 'PROMISE']);
});
