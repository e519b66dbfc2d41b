import { expect, test } from '@jest/globals';
import { agentRoutes } from '@fenceline/protocol';
import { hostUuid, makeHaWorld, VM } from '../ha/testing/haWorld.js';
import type { AgentGateway } from '../hosts/agentGateway.js';
import { makeOldBoots } from './oldBoots.js';

/** h1 answers under boot-9; what it shows of its VMs may be an older answer. */
async function makeWorld(shownUnder: string | undefined) {
  const world = await makeHaWorld();
  const run = await world.ledger.adopt({
    ...{ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' },
  });
  const call: AgentGateway['call'] = async (agent, route, asked) => {
    if (route.name === agentRoutes.vmStatus.name && shownUnder === undefined)
      throw new Error('no answer');
    const answer = await world.gateway.call(agent, route, asked);
    return route.name === agentRoutes.vmStatus.name
      ? Object.assign(answer, { bootId: shownUnder })
      : answer;
  };
  const [host] = world.hosts;
  if (host !== undefined) host.bootId = 'boot-9';
  const gateway: AgentGateway = { ...world.gateway, call };
  const inventory = { changed: async () => undefined };
  const oldBoots = makeOldBoots({ ...world.deps, inventory, gateway });
  return { ...world, closed: await oldBoots.close(run) };
}

test('hostRebooted: closes the old run once its host has said what it runs now', async () => {
  const { closed, ledger } = await makeWorld('boot-9');
  expect(closed).toEqual({ now: undefined });
  expect(await ledger.openRuns(VM)).toEqual([]);
});

test.each([undefined, 'boot-1'])(
  'hostRebooted: a list of %j says nothing about the new boot: the run stays open',
  async (shownUnder) => {
    const { closed, ledger } = await makeWorld(shownUnder);
    expect(closed).toEqual({ refused: 'its host does not say what it runs now' });
    expect(await ledger.openRuns(VM)).toHaveLength(1);
  },
);
