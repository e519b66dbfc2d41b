import { expect, test } from '@jest/globals';
import { protectedVm, untilSo } from './testing/protectedVm.js';

const limit = { deadlineMs: 10_000 };

test('powerOff: an "off" that nobody answered bars its host out loud, and only until it is read', async () => {
  const { site, api } = await protectedVm({ seed: 3, power: true });
  const { world } = site;
  const open = async () => (await api.showHost({ host: 'h1' }, limit)).powerUnresolvedSince;
  const alarms = async () => (await api.status({}, limit)).alarms.map(({ kind }) => kind);
  world.power.habit = { kind: 'dead' };
  world.network.cut('h1', 'both');
  await untilSo(site, async () => (await open()) !== null);
  await world.clock.advance(30_000);
  world.network.cut('h1', 'none');
  await untilSo(site, async () => (await alarms()).includes('power.unresolved'));
  site.defineVm('web2');
  await api.importVm({ host: 'h1', vm: 'web2' }, limit);
  const start = () => api.startVm({ vm: 'web2', host: 'h1' }, limit);
  await expect(start()).rejects.toThrow('a power command for it is unresolved');
  // The device answers again.
  world.power.habit = { kind: 'works' };
  await untilSo(site, async () => (await open()) === null, 6 * 60_000);
  expect(await alarms()).not.toContain('power.unresolved');
  await start();
  await untilSo(site, () => site.runningOn('web2').some(({ name }) => name === 'h1'));
}, 60_000);
