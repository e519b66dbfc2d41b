import { expect, test } from '@jest/globals';
import { agentRoutes } from '@fenceline/protocol';
import { leaveQemuBehind, protectedVm, untilSo } from './testing/protectedVm.js';

const limit = { deadlineMs: 10_000 };

test('D9: a server that dies between the wish and the order of a stop leaves no VM unguarded', async () => {
  const { site, api } = await protectedVm({ seed: 7 });
  const { world } = site;
  const { path } = agentRoutes.vmDestroy;
  let crashed = false;
  // The order is lost with the server that gave it.
  site.listeners.script('h1', path, () => {
    if (!crashed) site.server.crash();
    crashed = true;
    return { status: 503, body: {} };
  });
  site.server.api.stopVm({ vm: 'web1' }, limit).catch(() => undefined);
  await untilSo(site, () => crashed);
  await world.clock.advance(5_000);
  site.listeners.script('h1', path, () => undefined);
  void site.server.start();
  await world.clock.advance(30_000);
  expect(await api.showVm({ vm: 'web1' }, limit)).toMatchObject({
    ...{ state: 'Running', stoppedByPerson: false, protected: true },
  });
  const { items } = await api.listEvents({ vm: 'web1' }, limit);
  expect(items.map(({ kind }) => kind)).toContain('vm.stopTakenBack');
  leaveQemuBehind(site, 'h1');
  await untilSo(site, () => site.runningOn('web1').some(({ name }) => name !== 'h1'));
  expect(site.check('web1')).toMatchObject({ verdict: 'oneWriter' });
}, 60_000);

test('D9: a VM that a person stopped stays stopped, also if a start of it still waited for a host', async () => {
  const { site, api } = await protectedVm({ seed: 7 });
  const { world } = site;
  await api.stopVm({ vm: 'web1' }, limit);
  const hosts = world.hosts.map(({ name }) => name);
  for (const host of hosts) await api.disableHost({ host }, limit);
  await api.startVm({ vm: 'web1' }, limit);
  await world.clock.advance(5_000);
  await api.stopVm({ vm: 'web1' }, limit);
  for (const host of hosts) await api.enableHost({ host }, limit);
  await world.clock.advance(5 * 60_000);
  expect(site.runningOn('web1')).toEqual([]);
  expect(await api.showVm({ vm: 'web1' }, limit)).toMatchObject({
    ...{ state: 'Stopped', openTaskUuid: null },
  });
  // And starts when a person asks for it.
  await api.startVm({ vm: 'web1' }, limit);
  await untilSo(site, () => site.runningOn('web1').length === 1);
}, 60_000);
