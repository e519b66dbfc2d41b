import { afterEach, describe, expect, test } from '@jest/globals';
import { DomainError, type ProtectCmd } from '@fenceline/protocol';
import { vmRow } from '../ha/testing/rows.js';
import { makeHostDirectory } from '../hosts/directory.js';
import { makeRig, type HostsRig } from '../hosts/testing/rig.js';
import { CLUSTER, hostUuid, makeWorld, type World } from '../hosts/testing/world.js';
import { makeHostProtection, type HostProtection } from './hostProtection.js';

const VM = (n: number): string => `a0000000-0000-4000-8000-00000000000${n}`;
const DISK = [{ kind: 'file' as const, source: '/srv/a.img' }];

const openTask = {
  ...{ uuid: 't1', vmUuid: VM(1), taskToken: 1, ownerUuid: '', reason: '', attempt: 1 },
  ...{ judger: 'manual' as const, state: 'fencing' as const, waitsFor: null, waysOutJson: '[]' },
  ...{ siblingHostUuidsJson: '[]', softAvoidHostUuidsJson: '[]', preferredHostUuid: null },
  ...{ nextTryAt: null, destinationHostUuid: null, createdAt: '2026-01-01T00:00:00.000Z' },
  endedAt: null,
};

/** Every agent that is added answers the route with this. */
function failing(world: World, fails: Error): void {
  const add = world.addHost;
  world.addHost = async (...fields) => {
    const agent = await add(...fields);
    agent.scripts['protect'] = { fails };
    return agent;
  };
}

describe('F34: hosts know the protected VMs', () => {
  let protection: HostProtection | undefined;
  let rig: HostsRig | undefined;
  afterEach(async () => {
    await protection?.stop();
    await rig?.hosts.stop();
  });

  async function site(prepare: (world: World) => Promise<void> | void = () => undefined) {
    const world = await makeWorld();
    for (const [n, level] of [
      [1, 'onHostFailure'],
      [2, 'none'],
    ] as const) {
      const fields = { uuid: VM(n), name: `vm${n}`, clusterUuid: CLUSTER, level, hostUuid: null };
      await world.store.db.insertInto('vms').values(vmRow(DISK, fields)).execute();
    }
    await prepare(world);
    const deps = { ...world, directory: makeHostDirectory(world.store) };
    protection = makeHostProtection(deps);
    rig = await makeRig(2, { world, extensions: { preConnect: [protection.extension] } });
    protection.start();
    return { world, rig, protection };
  }
  /** The VMs of each list that a host was told, in order. */
  const told = ({ gateway }: World, n: number): string[][] =>
    gateway
      .callsOf('protect', hostUuid(n))
      .map(({ command }) => (command as ProtectCmd).vms.map(({ vmUuid }) => vmUuid));
  const level = (world: World, n: number, to: 'none' | 'neverStop') =>
    world.store.db.updateTable('vms').set({ level: to }).where('uuid', '=', VM(n)).execute();
  const statusOf = async (world: World, n: number): Promise<string> =>
    (await world.repository.get(hostUuid(n))).status;

  test('F34: a host is told before it counts as Connected, with uuids and disks', async () => {
    const { world } = await site();
    expect([told(world, 1), told(world, 2)]).toEqual([[[VM(1)]], [[VM(1)]]]);
    const [call] = world.gateway.callsOf('protect', hostUuid(1));
    expect(call?.command).toMatchObject({ vms: [{ vmUuid: VM(1), disks: DISK }] });
    expect(await statusOf(world, 1)).toBe('Connected');
  });

  test('F34: a host that can not be told is not Connected', async () => {
    const { world } = await site((one) => {
      failing(one, new DomainError('INTERNAL', 'disk full'));
    });
    expect(await statusOf(world, 1)).toBe('Disconnected');
  });

  test('F15: an agent without the route is connected all the same', async () => {
    const { world } = await site((one) => {
      failing(one, new DomainError('NO_SUCH_ROUTE', 'agent endpoint not found'));
    });
    expect(await statusOf(world, 1)).toBe('Connected');
  });

  test('F34: a change is told at once, and to nobody twice', async () => {
    const { world, protection: made } = await site();
    await level(world, 2, 'neverStop');
    made.changed();
    await world.clock.advance(100);
    expect(told(world, 1)).toEqual([[VM(1)], [VM(1), VM(2)]]);
    await level(world, 1, 'none');
    await world.clock.advance(10_100);
    expect(told(world, 1).at(-1)).toEqual([VM(2)]);
    await world.clock.advance(60_000);
    expect(told(world, 1)).toHaveLength(3);
  });

  test('F34: a host that did not take it is told again', async () => {
    const { world, rig: site1, protection: made } = await site();
    const [agent] = site1.agents;
    if (agent === undefined) throw new Error('no agent');
    agent.scripts['protect'] = { fails: new DomainError('TIMED_OUT', 'the disk hangs') };
    await level(world, 2, 'neverStop');
    made.changed();
    await world.clock.advance(100);
    agent.scripts = {};
    await world.clock.advance(10_100);
    expect(told(world, 1)).toEqual([[VM(1)], [VM(1), VM(2)], [VM(1), VM(2)]]);
  });

  test('F34: protection that is taken away in the middle of a failover lasts until its end', async () => {
    const { world, protection: made } = await site();
    await world.store.db.insertInto('haTasks').values(openTask).execute();
    await level(world, 1, 'none');
    made.changed();
    await world.clock.advance(10_100);
    expect(told(world, 1)).toEqual([[VM(1)]]);
    const ended = { endedAt: '2026-01-01T00:00:00.000Z' };
    await world.store.db.updateTable('haTasks').set(ended).execute();
    await world.clock.advance(10_100);
    expect(told(world, 1)).toEqual([[VM(1)], []]);
  });
});
