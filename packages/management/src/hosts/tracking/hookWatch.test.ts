import { afterEach, expect, test } from '@jest/globals';
import { makeRig, type HostsRig } from '../testing/rig.js';
import { hostUuid } from '../testing/world.js';

let rig: HostsRig;
afterEach(() => rig.hosts.stop());

const hookKinds = (): string[] => rig.kinds().filter((kind) => kind.startsWith('host.hook'));

test('F34: what a host tells of its hook is kept, and told when it changes', async () => {
  rig = await makeRig(1);
  const [agent] = rig.agents;
  if (agent === undefined) throw new Error('no agent');
  const stored = () => rig.repository.get(hostUuid(1));
  expect(await stored()).toMatchObject({ hookWorking: null });
  agent.hook = { working: true, checkedAgeMs: 5, protectedVms: 0 };
  await rig.clock.advance(3_000);
  expect(await stored()).toMatchObject({ hookWorking: 1, hookWhy: '' });
  agent.hook = { working: false, checkedAgeMs: 5, protectedVms: 0, why: 'it is gone' };
  await rig.clock.advance(3_000);
  expect(await stored()).toMatchObject({ hookWorking: 0, hookWhy: 'it is gone' });
  // An older agent's heartbeats say nothing: nothing new is known.
  agent.hook = undefined;
  await rig.clock.advance(3_000);
  expect(await stored()).toMatchObject({ hookWorking: 0 });
  expect(hookKinds()).toEqual(['host.hookWorks', 'host.hookFailed']);
});
