import { describe, expect, test } from '@jest/globals';
import { Secret } from '@fenceline/common';
import { recordingLogger } from '@fenceline/common/testing';
import type { HostsService } from '../api/services.js';
import type { NewHost } from './inventory.js';
import { proofByOperator } from '../fencing/proofs/byOperator.js';
import { makeLedger } from '../vms/runs/ledger.js';
import { runOf } from '../vms/runs/run.js';
import { makeRig, type HostsRig } from './testing/rig.js';
import { CLUSTER, hostUuid, makeWorld } from './testing/world.js';

const h1 = hostUuid(1);

const newHost = (n: number, over: Partial<NewHost> = {}): NewHost => ({
  uuid: hostUuid(n),
  name: `h${n}`,
  clusterUuid: CLUSTER,
  addresses: [`192.0.2.${n}`],
  agentPort: 7_070,
  sshPort: 22,
  sshUsername: 'root',
  ...over,
});

const openRun = (rig: HostsRig, uuid: string, bootId = 'boot-1') =>
  rig.store.db
    .insertInto('runs')
    .values({
      vmUuid: hostUuid(900),
      epoch: 1,
      hostUuid: uuid,
      bootId,
      state: 'maybe',
      openedAt: 'now',
      closedAt: null,
      proofUuid: null,
    })
    .execute();

const rows = async (rig: HostsRig, uuid: string): Promise<number> =>
  (await rig.hosts.inventory.list()).filter((host) => host.uuid === uuid).length;

describe('add', () => {
  test('C4: a new host is stored Disconnected, then connected without the marker', async () => {
    const rig = await makeRig(1);
    const agent = rig.gateway.add(hostUuid(2), '192.0.2.2');
    agent.scripts['capacity'] = { delayMs: 5_000 };
    // What the API relies on.
    const service: HostsService = rig.hosts.inventory;
    const { hostUuid: added } = await service.add(newHost(2));
    expect(added).toBe(hostUuid(2));
    expect((await rig.hosts.inventory.show(added)).status).toBe('Disconnected');
    await rig.clock.advance(10_000);
    expect(await rig.hosts.inventory.show(added)).toMatchObject({
      status: 'Connected',
      liveness: 'online',
      state: 'Enabled',
    });
    await rig.hosts.stop();
  });

  test('C2: a host that is not there yet stays and is tried again', async () => {
    const rig = await makeRig(1);
    const agent = rig.gateway.add(hostUuid(2), '192.0.2.2');
    agent.killAgent();
    await rig.hosts.inventory.add(newHost(2));
    await rig.clock.advance(10_000);
    expect((await rig.hosts.inventory.show(hostUuid(2))).status).toBe('Disconnected');
    expect(rig.judgements(hostUuid(2))).toEqual([]);
    agent.startAgent('instance-1');
    await rig.clock.advance(20_000);
    expect((await rig.hosts.inventory.show(hostUuid(2))).status).toBe('Connected');
    await rig.hosts.stop();
  });

  test.each([
    [{ name: 'h1' }, 'CONFLICT', 'the name h1 belongs to host h1'],
    [{ addresses: ['192.0.2.9', '192.0.2.1'] }, 'CONFLICT', 'the address 192.0.2.1:7070'],
    [{ uuid: h1 }, 'CONFLICT', 'the uuid'],
    [{ clusterUuid: hostUuid(66) }, 'NOT_FOUND', 'no cluster'],
    [{ uuid: 'nope' }, 'BAD_INPUT', 'uuid'],
    [{ addresses: [] }, 'BAD_INPUT', 'addresses'],
    [{ addresses: ['a b'] }, 'BAD_INPUT', 'addresses'],
    [{ agentPort: 0 }, 'BAD_INPUT', 'agentPort'],
    [{ sshPort: 65_536 }, 'BAD_INPUT', 'sshPort'],
    [{ sshUsername: 'Root;' }, 'BAD_INPUT', 'sshUsername'],
    [{ name: '' }, 'BAD_INPUT', 'name'],
  ])('%j is refused as %s: %s', async (over, code, message) => {
    const rig = await makeRig(1);
    const adding = rig.hosts.inventory.add(newHost(2, over));
    await expect(adding).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    expect((await rig.hosts.inventory.list()).map(({ name }) => name)).toEqual(['h1']);
    await rig.hosts.stop();
  });

  test('the same address with another port is another agent', async () => {
    const rig = await makeRig(1);
    await rig.hosts.inventory.add(newHost(2, { addresses: ['192.0.2.1'], agentPort: 7_071 }));
    expect(await rows(rig, hostUuid(2))).toBe(1);
    await rig.hosts.stop();
  });
});

describe('F29: siblings know each other’s fence keys', () => {
  /** Who every agent lets in by the last connect it got. */
  const letIn = (rig: HostsRig, n: number): string[] => {
    const last = rig.gateway.callsOf('connect', hostUuid(n)).at(-1)?.command;
    const { siblings } = last as { siblings: { hostUuid: string }[] };
    return siblings.map(({ hostUuid: uuid }) => uuid.slice(-1));
  };

  test('hosts that connect at the same moment all learn of each other', async () => {
    const rig = await makeRig(3);
    expect([letIn(rig, 1), letIn(rig, 2), letIn(rig, 3)]).toEqual([
      ['2', '3'],
      ['1', '3'],
      ['1', '2'],
    ]);
    await rig.hosts.stop();
  });

  test('a new host is told to the others, and a removed one is taken back', async () => {
    const rig = await makeRig(2);
    rig.gateway.add(hostUuid(3), '192.0.2.3');
    await rig.hosts.inventory.add(newHost(3));
    await rig.clock.advance(2_000);
    expect([letIn(rig, 1), letIn(rig, 2), letIn(rig, 3)]).toEqual([
      ['2', '3'],
      ['1', '3'],
      ['1', '2'],
    ]);
    await rig.clock.settle(rig.hosts.inventory.remove(hostUuid(3)));
    await rig.clock.advance(2_000);
    expect([letIn(rig, 1), letIn(rig, 2)]).toEqual([['2'], ['1']]);
    await rig.hosts.stop();
  });

  test('a changed key is told; an unchanged one is not told again', async () => {
    const rig = await makeRig(3);
    const agent = rig.agents[0];
    if (agent === undefined) throw new Error('no host');
    const told = () => rig.gateway.callsOf('connect', hostUuid(2)).length;
    const before = told();
    await rig.hosts.inventory.reconnect(h1);
    await rig.clock.advance(2_000);
    expect(told()).toBe(before);
    agent.fencePublicKey = `ssh-ed25519 ${'B'.repeat(68)}`;
    await rig.hosts.inventory.reconnect(h1);
    await rig.clock.advance(2_000);
    expect(told()).toBe(before + 1);
    await rig.hosts.stop();
  });

  test('a sibling that could not be told is told later', async () => {
    const rig = await makeRig(2);
    const second = rig.agents[1];
    if (second === undefined) throw new Error('no host');
    second.scripts['connect'] = { fails: new Error('busy') };
    rig.gateway.add(hostUuid(3), '192.0.2.3');
    await rig.hosts.inventory.add(newHost(3));
    await rig.clock.advance(2_000);
    delete second.scripts['connect'];
    await rig.clock.advance(12_000);
    expect(letIn(rig, 2)).toEqual(['1', '3']);
    await rig.hosts.stop();
  });
});

describe('F29: a new fence key', () => {
  const rotate = (rig: HostsRig, force = false) =>
    rig.clock.settle(rig.hosts.inventory.rotateKey(h1, { force }));
  /** What each call told or asked, in order, as `prepare`, `switch` or the keys of h1 a host lets in. */
  const story = (rig: HostsRig, names: Map<string, string>): string[] =>
    rig.gateway.calls.flatMap(({ route, hostUuid: uuid, command }) => {
      const { step, siblings = [] } = command as {
        step?: string;
        siblings?: { hostUuid: string; fencePublicKey: string }[];
      };
      if (route === 'fenceKey') return [`${step}`];
      if (route !== 'connect') return [];
      const keys = siblings.filter((one) => one.hostUuid === h1).map((one) => one.fencePublicKey);
      return [`${uuid.slice(-1)}: ${keys.map((key) => names.get(key) ?? 'new').join('+')}`];
    });
  const rigOf = async (hosts: number) => {
    const rig = await makeRig(hosts);
    const [agent, second] = rig.agents;
    if (agent === undefined || second === undefined) throw new Error('no hosts');
    rig.gateway.calls.length = 0;
    return { rig, agent, second, names: new Map([[agent.fencePublicKey, 'old']]) };
  };

  test('F29: the siblings know the new key before it is used, and forget the old one after', async () => {
    const { rig, agent, names } = await rigOf(3);
    const { fencePublicKey, untold } = await rotate(rig);
    expect([fencePublicKey, untold]).toEqual([agent.fencePublicKey, []]);
    const told = story(rig, names);
    expect([told[0], told.slice(1, 3).toSorted(), told[3], told.slice(4).toSorted()]).toEqual([
      'prepare',
      ['2: old+new', '3: old+new'],
      'switch',
      ['2: new', '3: new'],
    ]);
    expect(await rig.hosts.repository.get(h1)).toMatchObject({
      fencePublicKey,
      nextFencePublicKey: null,
    });
    await rig.hosts.stop();
  });

  test('F29: a sibling that can not be told keeps the old key in use; repeated, it goes on', async () => {
    const { rig, agent, second, names } = await rigOf(2);
    second.scripts['connect'] = { fails: new Error('busy') };
    await expect(rotate(rig)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(story(rig, names)).not.toContain('switch');
    expect(names.get(agent.fencePublicKey)).toBe('old');
    delete second.scripts['connect'];
    const prepared = agent.nextFencePublicKey;
    expect((await rotate(rig)).fencePublicKey).toBe(prepared);
    expect(story(rig, names).at(-1)).toBe('2: new');
    await rig.hosts.stop();
  });

  test('F29: by force the key changes all the same, and says who was not told', async () => {
    const { rig, agent, second } = await rigOf(2);
    second.scripts['connect'] = { fails: new Error('busy') };
    const rotated = await rotate(rig, true);
    expect(rotated).toEqual({ fencePublicKey: agent.fencePublicKey, untold: ['h2'] });
    await rig.hosts.stop();
  });

  test('F29: a sibling that is away refuses it before anything is made', async () => {
    const { rig, second } = await rigOf(2);
    second.powerOff();
    await rig.hosts.repository.setStatus(hostUuid(2), 'Disconnected', 'gone');
    await expect(rotate(rig)).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringContaining("h2 can't be told"),
    });
    expect(rig.gateway.callsOf('fenceKey')).toEqual([]);
    await rig.hosts.stop();
  });

  test('F29: after a switch whose answer was lost the siblings are told the key that is in use', async () => {
    const { rig, agent, names } = await rigOf(2);
    const lost = `ssh-ed25519 ${'L'.repeat(68)}`;
    await rig.hosts.repository.update(h1, { nextFencePublicKey: lost });
    agent.fencePublicKey = lost;
    names.set(lost, 'lost');
    await rotate(rig);
    expect(story(rig, names).slice(-3)).toEqual(['2: lost+new', 'switch', '2: new']);
    await rig.hosts.stop();
  });
});

test('F30: a login of a host is stored, replaced, told as its kind, and gone with the host', async () => {
  const rig = await makeRig(1);
  const { inventory } = rig.hosts;
  const logins = () => rig.store.db.selectFrom('hostLogins').select(['hostUuid', 'kind']).execute();
  await expect(
    inventory.setLogin(hostUuid(9), { kind: 'password', secret: new Secret('x') }),
  ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await inventory.setLogin(h1, { kind: 'password', secret: new Secret('x') });
  await inventory.setLogin(h1, { kind: 'privateKey', secret: new Secret('y') });
  expect(await logins()).toEqual([{ hostUuid: h1, kind: 'privateKey' }]);
  await inventory.removeLogin(h1);
  expect(await logins()).toEqual([]);
  await inventory.setLogin(h1, { kind: 'password', secret: new Secret('x') });
  await rig.clock.settle(inventory.remove(h1));
  expect(await logins()).toEqual([]);
  await rig.hosts.stop();
});

describe('remove', () => {
  test('F40: a host with open runs can not be removed', async () => {
    const rig = await makeRig(1);
    await openRun(rig, h1);
    await expect(rig.hosts.inventory.remove(h1)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(await rows(rig, h1)).toBe(1);
    expect(rig.hosts.presence.linkUp(h1)).toBe(true);
    await rig.store.db.updateTable('runs').set({ state: 'closed' }).execute();
    await rig.clock.settle(rig.hosts.inventory.remove(h1));
    expect(await rows(rig, h1)).toBe(0);
    expect(rig.agents[0]?.openStreams).toBe(0);
    expect(rig.hosts.presence.bootId(h1)).toBeUndefined();
    await rig.hosts.stop();
    expect(rig.clock.pending).toBe(0);
  });

  test('F41: a host whose runs a word has closed stays until its VMs run elsewhere', async () => {
    const rig = await makeRig(1);
    await openRun(rig, h1);
    const row = await rig.store.db.selectFrom('runs').selectAll().executeTakeFirstOrThrow();
    const silence = { silentForMs: 9, requiredSilenceMs: 9, lookedAtMs: 0, expiresAfterSec: 600 };
    const names = { operator: 'ann', reason: 'no power', typedName: 'h1', hostName: 'h1' };
    const judged = proofByOperator(runOf(row), { ...names, ...silence });
    if (!('proof' in judged)) throw new Error(judged.refused);
    await makeLedger(rig).close(judged.proof, null);
    await expect(rig.hosts.inventory.remove(h1)).rejects.toThrow('was judged dead by silence');
    expect(await rows(rig, h1)).toBe(1);
    await rig.store.db.updateTable('proofs').set({ usedAt: 'now' }).execute();
    await rig.clock.settle(rig.hosts.inventory.remove(h1));
    expect(await rows(rig, h1)).toBe(0);
    await rig.hosts.stop();
  });

  test('a host that is removed while it is being connected leaves nothing behind', async () => {
    const rig = await makeRig(0);
    rig.gateway.add(h1, '192.0.2.1').scripts['facts'] = { delayMs: 3_000 };
    await rig.hosts.inventory.add(newHost(1));
    await rig.clock.advance(1_000);
    await rig.clock.settle(rig.hosts.inventory.remove(h1));
    await rig.clock.advance(200_000);
    expect(await rows(rig, h1)).toBe(0);
    expect(rig.gateway.callsOf('echo')).toHaveLength(1);
    await rig.hosts.stop();
    expect(rig.clock.pending).toBe(0);
  });
});

describe('state', () => {
  test('C1: enable, disable, and maintenance only without open runs', async () => {
    const rig = await makeRig(1);
    const { inventory } = rig.hosts;
    await inventory.setState(h1, 'Disabled');
    await openRun(rig, h1);
    await inventory.changeState(h1, 'preMaintain', 'disk swap');
    await expect(inventory.changeState(h1, 'maintain', 'x')).rejects.toMatchObject({
      code: 'REFUSED',
    });
    await rig.store.db.updateTable('runs').set({ state: 'closed' }).execute();
    expect(await inventory.changeState(h1, 'maintain', 'x')).toBe('Maintenance');
    await expect(inventory.changeState(h1, 'preMaintain', 'x')).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await rig.hosts.stop();
  });

  test('C4: leaving maintenance reconnects the host with the marker', async () => {
    const markers: boolean[] = [];
    const record = {
      name: 'record',
      run: async ({ info }: { info: { reconnect: boolean } }) => void markers.push(info.reconnect),
    };
    const rig = await makeRig(1, { extensions: { preConnect: [record] } });
    await rig.hosts.inventory.changeState(h1, 'preMaintain', 'x');
    await rig.hosts.inventory.changeState(h1, 'maintain', 'x');
    await rig.hosts.inventory.setState(h1, 'Enabled');
    await rig.clock.advance(1_000);
    expect(markers).toEqual([false, true]);
    await rig.hosts.stop();
  });
});

describe('power device', () => {
  const CANARY = 'canary-77';
  const device = (parameters: unknown = { plug: 'h1', password: CANARY }) => ({
    agent: 'fence_test',
    parametersJson: new Secret(JSON.stringify(parameters)),
  });

  /** A host whose outlet really switches it. */
  async function powered(): Promise<HostsRig> {
    const rig = await makeRig(2);
    const agent = rig.agents[0];
    if (agent === undefined) throw new Error('no host');
    let boots = 1;
    rig.power.switched = (to) => {
      if (to === 'off') agent.powerOff();
      else rig.clock.after(30_000, () => agent.boot(`boot-${(boots += 1)}`));
    };
    await rig.hosts.inventory.setPowerLevels(h1, [[device()]]);
    return rig;
  }
  const verify = (rig: HostsRig) => rig.clock.settle(rig.hosts.inventory.verifyPower(h1));
  const verifiedAt = async (rig: HostsRig) =>
    (await rig.hosts.inventory.powerLevels(h1))[0]?.devices[0]?.verifiedAt;

  test('powerOff: off, read back, gone, on, back under a new boot: verified', async () => {
    const rig = await powered();
    expect(await verifiedAt(rig)).toBeNull();
    await verify(rig);
    expect(rig.power.calls).toEqual(['status', 'off', 'status', 'on', 'status']);
    expect(await verifiedAt(rig)).toMatch(/^\d{4}-/);
    // It has ended when the host can be used again: whoever goes on then relies on it.
    expect(await rig.hosts.inventory.show(h1)).toMatchObject({
      state: 'Enabled',
      status: 'Connected',
      bootId: 'boot-2',
    });
    // It was in maintenance, so its absence accused it of nothing.
    expect(rig.judgements(h1).filter((it) => /alarm|fence/.test(it))).toEqual([]);
    await rig.hosts.stop();
  });

  test('powerOff: a replaced device has to be verified again', async () => {
    const rig = await powered();
    await verify(rig);
    await rig.hosts.inventory.setPowerLevels(h1, [[device({ plug: 'h2' })]]);
    expect(await verifiedAt(rig)).toBeNull();
    await rig.hosts.stop();
  });

  test('powerOff: never tried on a host with open runs', async () => {
    const rig = await powered();
    await openRun(rig, h1);
    await expect(verify(rig)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(rig.power.calls).toEqual([]);
    expect((await rig.hosts.inventory.show(h1)).state).toBe('Enabled');
    await rig.hosts.stop();
  });

  test('powerOff: a device that switches another machine is not verified', async () => {
    const rig = await powered();
    rig.power.switched = () => undefined;
    await expect(verify(rig)).rejects.toThrow(/switches another machine/);
    expect(rig.power.state).toBe('on');
    expect(await verifiedAt(rig)).toBeNull();
    expect((await rig.hosts.inventory.show(h1)).state).toBe('Enabled');
    await rig.hosts.stop();
  });

  test('powerOff: a host whose link was cut by chance comes back under the same boot', async () => {
    const rig = await powered();
    const agent = rig.agents[0];
    if (agent === undefined) throw new Error('no host');
    rig.power.switched = (to) => {
      agent.serverLink = to === 'off' ? 'cut' : 'ok';
    };
    await expect(verify(rig)).rejects.toThrow(/same boot/);
    expect(await verifiedAt(rig)).toBeNull();
    await rig.hosts.stop();
  });

  test('powerOff: a device that says off and reads on is not verified', async () => {
    const rig = await powered();
    rig.power.habit = 'lying';
    await expect(verify(rig)).rejects.toThrow(/still reads on/);
    expect(await verifiedAt(rig)).toBeNull();
    await rig.hosts.stop();
  });

  test('powerOff: where the power is not known to be on again, no VM is placed', async () => {
    const rig = await powered();
    const { power } = rig;
    power.switched = (to) => {
      if (to === 'off') rig.agents[0]?.powerOff();
      power.habit = 'dead';
    };
    await expect(verify(rig)).rejects.toThrow();
    expect((await rig.hosts.inventory.show(h1)).state).toBe('Disabled');
    await rig.hosts.stop();
  });

  test('powerOff: an outlet of another host is refused by its name, in each spelling', async () => {
    const rig = await powered();
    const own = device({ port: 'H1', username: 'x', password: 'canary-other' });
    const said =
      'this outlet (fence_test) is a power device of host h1 already; switched off, it would cut h1';
    const set = rig.hosts.inventory.setPowerLevels(hostUuid(2), [[device({ plug: 'h2' })], [own]]);
    await expect(set).rejects.toMatchObject({
      code: 'CONFLICT',
      message: `levels.1.devices.0: ${said}`,
      facts: { hostUuid: h1 },
    });

    const added = rig.hosts.inventory.add(newHost(9, { powerDevice: own }));
    await expect(added).rejects.toThrow(said);
    expect((await rig.hosts.inventory.list()).map((host) => host.name)).toEqual(['h1', 'h2']);
    expect(await rig.hosts.inventory.powerLevels(hostUuid(2))).toEqual([]);
    // Its own it may have anew.
    await rig.hosts.inventory.setPowerLevels(h1, [[own]]);
    await rig.hosts.stop();
  });

  test('powerOff: two hosts that ask for one outlet at a time: one gets it', async () => {
    const rig = await makeRig(2);
    const set = (n: number) => rig.hosts.inventory.setPowerLevels(hostUuid(n), [[device()]]);
    const ended = await Promise.allSettled([set(1), set(2)]);
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await rig.hosts.stop();
  });

  test('powerOff: a trial during which another host falls silent names it, and proves nothing', async () => {
    const rig = await powered();
    // By the wrong outlet another host, or by an outlet of both: silent still, or back already.
    for (const [both, backMs] of [
      [false, 30_000],
      [true, 60_000],
      [true, 5_000],
    ] as const) {
      let boots = 10;
      rig.power.switched = (to) => {
        for (const [i, agent] of rig.agents.entries())
          if (i === 0 && !both) continue;
          else if (to === 'off') agent.powerOff();
          else rig.clock.after(i === 0 ? 30_000 : backMs, () => agent.boot(`b-${(boots += 1)}`));
      };
      await expect(verify(rig)).rejects.toThrow(/; but h2 fell silent in that moment/);
      expect(await verifiedAt(rig)).toBeNull();
      await rig.clock.advance(120_000);
    }
    await rig.hosts.stop();
  });

  test('powerOff: while those of another host can not be read, none is taken for its own', async () => {
    const rig = await powered();
    await rig.store.db.updateTable('powerDevices').set({ parametersSealed: 'lost' }).execute();
    const set = () => rig.hosts.inventory.setPowerLevels(hostUuid(2), [[device({ plug: 'h2' })]]);
    await expect(set()).rejects.toThrow('take them away first: fenceline host power-clear h1');
    await rig.hosts.inventory.setPowerLevels(h1, []);
    await set();
    await rig.hosts.stop();
  });

  test('powerOff: a stored outlet of two hosts is not tried', async () => {
    const rig = await powered();
    await rig.hosts.inventory.setPowerLevels(hostUuid(2), [[device({ plug: 'h2' })]]);
    const parametersSealed = '{"plug":"h1"}';
    await rig.store.db.updateTable('powerDevices').set({ parametersSealed }).execute();
    await expect(verify(rig)).rejects.toThrow('is a power device of host h2 already');
    expect(rig.power.calls).toEqual([]);
    await rig.hosts.stop();
  });

  test('F28: parameters never show in errors, events, rows that people read, or the log', async () => {
    const { log, lines } = recordingLogger();
    const rig = await makeRig(1, { world: await makeWorld(log) });
    await rig.hosts.inventory.setPowerLevels(h1, [[device()]]);
    rig.power.habit = 'dead';
    await verify(rig).catch(() => undefined);
    const broken = { agent: 'fence_test', parametersJson: new Secret(`{"password": "${CANARY}`) };
    const error = await rig.hosts.inventory
      .setPowerLevels(h1, [[broken]])
      .catch((thrown: unknown) => thrown);
    const shown = JSON.stringify([
      lines,
      rig.seen,
      String(error),
      await rig.hosts.inventory.list(),
    ]);
    expect(shown).not.toContain(CANARY);
    await rig.hosts.stop();
  });
});
