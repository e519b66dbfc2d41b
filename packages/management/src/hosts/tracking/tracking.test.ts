import { describe, expect, test } from '@jest/globals';
import type { VmSeen } from '@fenceline/protocol';
import { sql } from 'kysely';
import { hostUuid, makeWorld } from '../testing/world.js';
import { makeRig, type HostsRig } from '../testing/rig.js';
import { judgedAfterSilenceMs } from './deadlines.js';

const h1 = hostUuid(1);
const h2 = hostUuid(2);

const vm = (n: number, over: Partial<VmSeen> = {}): VmSeen => ({
  vmUuid: hostUuid(1_000 + n),
  name: `vm${n}`,
  state: 'Running',
  epoch: 1,
  pid: 100 + n,
  startTime: 5,
  knownToLibvirt: true,
  hasProcess: true,
  ...over,
});

const fencing = (world: { settings: HostsRig['settings'] }): void => {
  world.settings.ha.agentDown.withoutHeartbeat = 'fence';
};

/** The agent of host n. */
const agent = (rig: HostsRig, n: number) => {
  const found = rig.agents[n - 1];
  if (found === undefined) throw new Error(`no host ${n}`);
  return found;
};

const firstJudged = (rig: HostsRig, uuid: string) =>
  rig.heard.find((it) => it.kind === 'judged' && it.judgement.hostUuid === uuid);

describe('D1: one watch stream per host', () => {
  test('D1: a connected host has exactly one open stream and stays online', async () => {
    const rig = await makeRig(3);
    await rig.clock.advance(60_000);
    expect(rig.agents.map(({ openStreams }) => openStreams)).toEqual([1, 1, 1]);
    expect(rig.livenesses(h1)).toEqual(['online']);
    expect(rig.hosts.presence.linkUp(h1)).toBe(true);
    expect(rig.heard.filter(({ kind }) => kind === 'judged')).toEqual([]);
    await rig.hosts.stop();
  });

  test('D1: after every (re)connect of the stream the whole list is read and told', async () => {
    const rig = await makeRig(2);
    agent(rig, 1).vms = [vm(1)];
    const lists = () =>
      rig.heard.flatMap((it) => (it.kind === 'list' && it.list.hostUuid === h1 ? [it.list] : []));
    expect(lists()).toHaveLength(1);
    agent(rig, 1).reset(new Error('cut'));
    await rig.clock.advance(1_000);
    expect(lists()).toHaveLength(2);
    expect(lists()[1]).toMatchObject({ bootId: 'boot-1', vms: [vm(1)], libvirtAnswered: true });
    expect(rig.livenesses(h1)).toEqual(['online']);
    await rig.hosts.stop();
  });

  test('F38: a list of another boot than the one heard last is no news: it is read again', async () => {
    const rig = await makeRig(2);
    const lists = () => rig.heard.filter((it) => it.kind === 'list' && it.list.hostUuid === h1);
    const before = lists().length;
    agent(rig, 1).scripts['vmSync'] = { answer: { bootId: 'boot-0', vms: [vm(1)] } };
    agent(rig, 1).reset(new Error('cut'));
    await rig.clock.advance(2_000);
    expect(rig.hosts.presence.linkUp(h1)).toBe(true);
    expect(rig.hosts.presence.liveVms(h1)).toBeUndefined();
    expect(lists()).toHaveLength(before);
    delete agent(rig, 1).scripts['vmSync'];
    await rig.clock.advance(2_000);
    expect(rig.hosts.presence.liveVms(h1)).toEqual([]);
    expect(lists()).toHaveLength(before + 1);
    await rig.hosts.stop();
  });

  test('D1: VM events are told as they come, and keep the fresh list current (F38)', async () => {
    const rig = await makeRig(2);
    expect(rig.hosts.presence.liveVms(h1)).toEqual([]);
    agent(rig, 1).vmEvent(vm(1));
    await rig.clock.advance(100);
    expect(rig.hosts.presence.liveVms(h1)).toMatchObject([{ name: 'vm1' }]);
    expect(rig.heard.at(-1)).toMatchObject({ kind: 'vm', vmUuid: vm(1).vmUuid });
    agent(rig, 1).vmEvent(vm(1, { hasProcess: false, state: 'Stopped' }));
    await rig.clock.advance(100);
    expect(rig.hosts.presence.liveVms(h1)).toEqual([]);
    await rig.hosts.stop();
  });

  test('F38: without a stream there is no fresh list, never a guess', async () => {
    const rig = await makeRig(2);
    agent(rig, 1).powerOff();
    await rig.clock.advance(4_000);
    expect(rig.hosts.presence.liveVms(h1)).toBeUndefined();
    expect(rig.hosts.presence.linkUp(h1)).toBe(false);
    await rig.hosts.stop();
  });

  test('D1: where the stream can not be opened, pings and lists take its place', async () => {
    const rig = await makeRig(2);
    agent(rig, 1).watchRoute = 'noRoute';
    agent(rig, 1).reset(new Error('cut'));
    await rig.clock.advance(60_000);
    expect(rig.heard.filter(({ kind }) => kind === 'judged')).toEqual([]);
    expect(rig.livenesses(h1).filter((to) => to === 'suspect')).toEqual([]);
    expect(rig.hosts.presence.liveVms(h1)).toEqual([]);
    expect(rig.gateway.callsOf('ping', h1).length).toBeLessThan(90);
    expect((await rig.hosts.repository.get(h1)).status).toBe('Connected');
    await rig.hosts.stop();
  });
});

describe('D2, D4: silent and broken', () => {
  test('D2: a silent death is judged within its budget, with what the siblings saw', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    await rig.clock.advance(10_400);
    agent(rig, 1).powerOff();
    const lastHeardMs = rig.hosts.presence.lastSignOfLifeMs(h1) ?? Number.NaN;
    await rig.clock.advance(8_000);
    const first = firstJudged(rig, h1);
    expect(first).toMatchObject({
      judgement: {
        row: 'nothing-answers',
        action: 'fence',
        channels: ['peer', 'own-agent', 'power'],
        inputs: { linkDownBy: 'silence', atSibling: 'nothing', siblingsAnswered: 2 },
      },
    });
    expect(new Set(first?.kind === 'judged' ? first.judgement.siblingHostUuids : [])).toEqual(
      new Set([h2, hostUuid(3)]),
    );
    const suspect = rig.seen.find(
      ({ kind, text }) => kind === 'host.liveness' && /suspect/.test(text),
    );
    expect(
      Date.parse(suspect?.at ?? '') - rig.clock.wallMs() + rig.clock.monotonicMs() - lastHeardMs,
    ).toBeLessThanOrEqual(3_500);
    expect((first?.atMs ?? Infinity) - lastHeardMs).toBeLessThanOrEqual(3_500 + 1_500);
    expect(judgedAfterSilenceMs(rig.settings.ha.detect)).toBeLessThanOrEqual(5_000);
    expect((await rig.hosts.repository.get(h1)).status).toBe('Disconnected');
    await rig.hosts.stop();
  });

  test('D2: a broken link is probed at once: a suspect within a second, no destination any more', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    await rig.clock.advance(10_000);
    agent(rig, 1).killAgent();
    await rig.clock.advance(1_000);
    expect(rig.livenesses(h1)).toEqual(['online', 'suspect']);
    // Its kernel answers: the agent may be restarting, so nothing is fenced yet.
    expect(firstJudged(rig, h1)).toBeUndefined();
    await rig.hosts.stop();
  });

  test('D2: an agent that stays away while its kernel answers is judged like a silent one', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    await rig.clock.advance(10_000);
    const brokenMs = rig.clock.monotonicMs();
    agent(rig, 1).killAgent();
    await rig.clock.advance(5_000);
    const first = firstJudged(rig, h1);
    expect(first).toMatchObject({
      judgement: {
        row: 'agent-silent-kernel-answers',
        action: 'fence',
        channels: ['peer', 'own-agent'],
        inputs: { linkDownBy: 'broken', atSibling: 'kernel' },
      },
    });
    const afterMs = (first?.atMs ?? Infinity) - brokenMs;
    expect(afterMs).toBeGreaterThanOrEqual(2_000);
    expect(afterMs).toBeLessThanOrEqual(4_500);
    await rig.hosts.stop();
  });

  test('D1: an agent that does not know whose it is is no sign of life of this host', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    await rig.clock.advance(10_000);
    agent(rig, 1).knowsItself = false;
    await rig.clock.advance(10_000);
    expect(rig.livenesses(h1).slice(0, 3)).toEqual(['online', 'late', 'suspect']);
    await rig.hosts.stop();
  });

  test('D2: a stream that is cut and comes back at once suspects nobody', async () => {
    const rig = await makeRig(2, { prepare: fencing });
    for (let i = 0; i < 5; i += 1) {
      agent(rig, 1).reset(new Error('cut'));
      await rig.clock.advance(5_000);
    }
    expect(rig.livenesses(h1)).toEqual(['online']);
    await rig.hosts.stop();
  });

  test.each([200, 1_000, 1_900])('D2: a stall of %i ms of a host suspects nobody', async (ms) => {
    const rig = await makeRig(2, { prepare: fencing });
    for (let i = 0; i < 10; i += 1) {
      agent(rig, 1).frozen = true;
      await rig.clock.advance(ms);
      agent(rig, 1).frozen = false;
      await rig.clock.advance(7_130);
    }
    expect(rig.livenesses(h1)).not.toContain('suspect');
    expect(rig.heard.filter(({ kind }) => kind === 'judged')).toEqual([]);
    await rig.hosts.stop();
  });

  test('D4: an agent that answers a sibling is isolated: alarm, no HA', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    agent(rig, 1).serverLink = 'cut';
    await rig.clock.advance(10_000);
    expect(new Set(rig.judgements(h1))).toEqual(new Set(['isolated alarm']));
    expect(rig.livenesses(h1).at(-1)).toBe('isolated');
    agent(rig, 1).killAgent();
    await rig.clock.advance(3_000);
    expect(rig.judgements(h1).at(-1)).toBe('agent-silent-kernel-answers fence');
    expect(rig.livenesses(h1).at(-1)).toBe('suspect');
    await rig.hosts.stop();
  });

  test('D4: one sibling that sees it outweighs one that does not', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    agent(rig, 2).scans.set(h1, { level: 'nothing', unstable: false });
    agent(rig, 3).scans.set(h1, { level: 'nothing', unstable: true });
    agent(rig, 1).powerOff();
    await rig.clock.advance(10_000);
    expect(rig.judgements(h1).at(-1)).toBe('isolated alarm');
    await rig.hosts.stop();
  });

  test('D4: a sign of life that a sibling saw is remembered', async () => {
    const rig = await makeRig(2);
    agent(rig, 1).killAgent();
    await rig.clock.advance(60_000);
    const ageMs = rig.clock.monotonicMs() - (rig.hosts.presence.lastSignOfLifeMs(h1) ?? 0);
    expect(ageMs).toBeLessThan(6_000);
    await rig.hosts.stop();
  });

  test('D4: without a sibling that could look there is no fence', async () => {
    const rig = await makeRig(1, { prepare: fencing });
    agent(rig, 1).powerOff();
    await rig.clock.advance(20_000);
    expect(new Set(rig.judgements(h1))).toEqual(new Set(['nobody-could-look alarm']));
    await rig.hosts.stop();
  });

  test('D6: default policy alarms only; the judgement is stored with row, inputs and ages', async () => {
    const rig = await makeRig(3);
    agent(rig, 1).powerOff();
    await rig.clock.advance(10_000);
    expect(new Set(rig.judgements(h1))).toEqual(new Set(['nothing-answers alarm']));
    const stored = rig.seen.filter(({ kind }) => kind === 'host.judged');
    expect(stored).toHaveLength(1);
    expect(JSON.parse(stored[0]?.factsJson ?? '{}')).toMatchObject({
      row: 'nothing-answers',
      atSibling: 'nothing',
      storageHeartbeat: 'none',
      linkDownBy: 'silence',
      lastHeardAgeMs: expect.any(Number),
      lastSignOfLifeAgeMs: expect.any(Number),
      scanAgeMs: expect.any(Number),
      withoutHeartbeat: 'alarm',
    });
    await rig.hosts.stop();
  });

  test('a judgement is told again when its kind changes, and as a bounded reminder', async () => {
    const rig = await makeRig(3);
    agent(rig, 1).powerOff();
    await rig.clock.advance(34_000);
    const before = rig.judgements(h1).length;
    expect(before).toBeGreaterThanOrEqual(3);
    expect(before).toBeLessThanOrEqual(5);
    rig.settings.ha.agentDown.withoutHeartbeat = 'fence';
    await rig.clock.advance(2_500);
    expect(rig.judgements(h1).slice(before)).toEqual(['nothing-answers fence']);
    await rig.clock.advance(3_600_000);
    expect(rig.judgements(h1).length).toBeLessThan(200);
    await rig.hosts.stop();
  });

  test('a host in maintenance is tracked and never judged; a disabled one stays guarded', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    await rig.hosts.inventory.changeState(h1, 'preMaintain', 'test');
    await rig.hosts.inventory.changeState(h1, 'maintain', 'test');
    await rig.hosts.inventory.setState(h2, 'Disabled');
    agent(rig, 1).powerOff();
    agent(rig, 2).powerOff();
    await rig.clock.advance(10_000);
    expect(rig.judgements(h1)).toEqual([]);
    expect(rig.livenesses(h1).at(-1)).toBe('suspect');
    expect(new Set(rig.judgements(h2))).toEqual(new Set(['nothing-answers fence']));
    await rig.hosts.stop();
  });
});

describe('coming back', () => {
  test('the same boot in time: cancel, online, reconnected', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    agent(rig, 1).serverLink = 'cut';
    agent(rig, 2).scans.set(h1, { level: 'nothing' });
    agent(rig, 3).scans.set(h1, { level: 'nothing' });
    await rig.clock.advance(8_000);
    expect(rig.judgements(h1).at(-1)).toBe('nothing-answers fence');
    agent(rig, 1).serverLink = 'ok';
    await rig.clock.advance(4_000);
    expect(rig.judgements(h1).at(-1)).toBe('back-in-time cancel');
    expect(rig.livenesses(h1).at(-1)).toBe('online');
    expect((await rig.hosts.repository.get(h1)).status).toBe('Connected');
    const after = rig.judgements(h1).length;
    await rig.clock.advance(60_000);
    expect(rig.judgements(h1)).toHaveLength(after);
    await rig.hosts.stop();
  });

  test('a new boot closes the old runs, told again until the ledger has none of them', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    const run = { vmUuid: vm(1).vmUuid, epoch: 1, hostUuid: h1, bootId: 'boot-1' };
    const open = { openedAt: 'now', closedAt: null, proofUuid: null, state: 'running' as const };
    await rig.store.db
      .insertInto('runs')
      .values({ ...run, ...open })
      .execute();
    agent(rig, 1).powerOff();
    await rig.clock.advance(6_000);
    agent(rig, 1).boot('boot-2');
    await rig.clock.advance(12_000);
    const closes = rig.judgements(h1).filter((it) => it === 'rebooted closeRebooted');
    expect(closes.length).toBeGreaterThanOrEqual(2);
    expect(rig.hosts.presence.bootId(h1)).toBe('boot-2');
    await rig.store.db.updateTable('runs').set({ state: 'closed' }).execute();
    await rig.clock.advance(6_000);
    const before = rig.judgements(h1).length;
    await rig.clock.advance(60_000);
    expect(rig.judgements(h1)).toHaveLength(before);
    await rig.hosts.stop();
  });

  test('a reboot too fast to be missed is seen by its boot id', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    agent(rig, 1).boot('boot-2');
    await rig.clock.advance(3_000);
    expect(rig.judgements(h1)).toEqual(['rebooted closeRebooted']);
    expect((await rig.hosts.repository.get(h1)).bootId).toBe('boot-2');
    await rig.hosts.stop();
  });

  test('a restarted server finds what rebooted meanwhile, and cancels what it suspected', async () => {
    const world = await makeWorld();
    const first = await makeRig(2, { world, prepare: fencing });
    agent(first, 1).serverLink = 'cut';
    agent(first, 2).scans.set(h1, { level: 'nothing' });
    await world.clock.advance(8_000);
    expect(first.judgements(h1).at(-1)).toBe('nothing-answers fence');
    await world.clock.settle(first.hosts.stop());
    agent(first, 1).serverLink = 'ok';
    const second = await makeRig(0, { world });
    expect(second.judgements(h1)).toEqual(['back-in-time cancel']);
    await second.hosts.stop();
  });

  test('runs of an older boot are closed even if the row knows the new boot already', async () => {
    const world = await makeWorld();
    const first = await makeRig(2, { world, prepare: fencing });
    await world.clock.settle(first.hosts.stop());
    const run = { vmUuid: vm(1).vmUuid, epoch: 1, hostUuid: h1, bootId: 'boot-0' };
    const open = { openedAt: 'now', closedAt: null, proofUuid: null, state: 'maybe' as const };
    await world.store.db
      .insertInto('runs')
      .values({ ...run, ...open })
      .execute();
    const second = await makeRig(0, { world });
    expect(second.judgements(h1)[0]).toBe('rebooted closeRebooted');
    await second.hosts.stop();
  });

  test('a server that starts while a host is dead judges it, although it never heard it', async () => {
    const world = await makeWorld();
    const first = await makeRig(3, { world, prepare: fencing });
    await world.clock.settle(first.hosts.stop());
    agent(first, 1).powerOff();
    const second = await makeRig(0, { world });
    await world.clock.advance(6_000);
    expect(second.judgements(h1)).toEqual(['nothing-answers fence']);
    expect(second.hosts.presence.lastSignOfLifeMs(h1)).toBeUndefined();
    await second.hosts.stop();
  });
});

describe('C6: another instance or version of the agent is connected anew', () => {
  test('C6: seen by the stream', async () => {
    const rig = await makeRig(2);
    agent(rig, 1).killAgent();
    agent(rig, 1).startAgent('instance-2');
    await rig.clock.advance(3_000);
    expect(await rig.hosts.repository.get(h1)).toMatchObject({
      status: 'Connected',
      agentInstance: 'instance-2',
    });
    expect(rig.gateway.callsOf('facts', h1)).toHaveLength(2);
    expect(rig.livenesses(h1)).toEqual(['online']);
    await rig.hosts.stop();
  });

  test('C6: an agent that changed while the server was down is connected once, at its start', async () => {
    const world = await makeWorld();
    const first = await makeRig(2, { world });
    await world.clock.settle(first.hosts.stop());
    agent(first, 1).startAgent('instance-2');
    agent(first, 1).scripts['facts'] = { delayMs: 2_000 };
    const before = world.gateway.callsOf('facts', h1).length;
    const second = await makeRig(0, { world });
    await world.clock.advance(10_000);
    expect(world.gateway.callsOf('facts', h1)).toHaveLength(before + 1);
    await second.hosts.stop();
  });

  test('C6: seen by a ping, told as such', async () => {
    const rig = await makeRig(2);
    const calledBy: string[] = [];
    const { bus } = rig;
    const send = bus.send.bind(bus);
    bus.send = (name, message) => {
      if (name === 'ReconnectHost' && 'calledBy' in message) calledBy.push(message.calledBy);
      return send(name, message);
    };
    agent(rig, 1).watchRoute = 'noRoute';
    agent(rig, 1).agentVersion = '9.9.9';
    agent(rig, 1).reset(new Error('cut'));
    await rig.clock.advance(6_000);
    expect(calledBy).toEqual(['ping']);
    expect((await rig.hosts.repository.get(h1)).agentVersion).toBe('9.9.9');
    await rig.hosts.stop();
  });

  test('C6: a reconnect that fails is tried again with the back-off, not with every heartbeat', async () => {
    const rig = await makeRig(2);
    agent(rig, 1).killAgent();
    agent(rig, 1).startAgent('instance-2');
    agent(rig, 1).memoryMiB = 1;
    await rig.clock.advance(120_000);
    const tries = rig.gateway.callsOf('capacity', h1).length - 1;
    // At once, then after 1, 2, 4, 8, 16, 32 s, and once a minute.
    expect(tries).toBe(7);
    agent(rig, 1).memoryMiB = 65_536;
    await rig.clock.advance(60_000);
    expect((await rig.hosts.repository.get(h1)).status).toBe('Connected');
    await rig.hosts.stop();
  });
});

describe('D3: the server checks itself first', () => {
  test('D3: all hosts silent together: the own network is blamed, nobody is fenced', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    await rig.clock.advance(5_000);
    for (const one of rig.agents) one.serverLink = 'cut';
    await rig.clock.advance(30_000);
    for (const n of [1, 2, 3]) expect(rig.judgements(hostUuid(n)).join()).not.toContain('fence');
    expect(rig.seen.filter(({ kind }) => kind === 'server.network')).toHaveLength(1);
    for (const one of rig.agents) one.serverLink = 'ok';
    await rig.clock.advance(10_000);
    for (const n of [1, 2, 3]) expect(rig.livenesses(hostUuid(n)).at(-1)).toBe('online');
    await rig.hosts.stop();
  });

  test('D3: one host that goes on answering takes the blame from the network', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    agent(rig, 1).powerOff();
    agent(rig, 2).powerOff();
    await rig.clock.advance(8_000);
    expect(rig.judgements(h1)).toEqual(['nothing-answers fence']);
    expect(rig.judgements(h2)).toEqual(['nothing-answers fence']);
    expect(rig.kinds()).not.toContain('server.network');
    await rig.hosts.stop();
  });

  test('D3: while the server itself stands still, no host falls silent', async () => {
    const world = await makeWorld();
    const { clock } = world;
    let heldMs = 0;
    // An event loop that stands still: what comes due meanwhile runs when it is over.
    const stalling = {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      after: (ms: number, action: () => void) => {
        let timer = clock.after(ms, () => {
          const late = heldMs - clock.monotonicMs();
          if (late > 0) timer = clock.after(late, action);
          else action();
        });
        return { cancel: () => timer.cancel() };
      },
    };
    const rig = await makeRig(2, { world, clock: stalling, prepare: fencing });
    for (const ms of [3_500, 12_000]) {
      heldMs = clock.monotonicMs() + ms;
      // Nothing of this process runs; heartbeats wait in the sockets.
      for (const one of rig.agents) one.frozen = true;
      await clock.advance(ms - 1);
      for (const one of rig.agents) one.frozen = false;
      await clock.advance(10_000);
    }
    expect(rig.livenesses(h1)).not.toContain('suspect');
    expect(rig.kinds()).toContain('server.stalled');
    expect(rig.heard.filter(({ kind }) => kind === 'judged')).toEqual([]);
    await rig.hosts.stop();
  });
});

describe('what else may happen', () => {
  test('D7: fencing and fenced come from the HA domain; a come-back cancels and is online', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    agent(rig, 1).powerOff();
    await rig.clock.advance(8_000);
    await rig.hosts.liveness.fenceBegan(h1, 'an order is out');
    await rig.hosts.liveness.fenceDone(h1, 'power off was read back');
    await rig.clock.advance(20_000);
    agent(rig, 1).power = 'on';
    await rig.clock.advance(5_000);
    expect(rig.livenesses(h1)).toEqual([
      'online',
      'late',
      'suspect',
      'fencing',
      'fenced',
      'online',
    ]);
    expect(rig.judgements(h1).at(-1)).toBe('back-in-time cancel');
    await expect(rig.hosts.liveness.fenceDone(h1, 'x')).rejects.toMatchObject({ code: 'CONFLICT' });
    await rig.hosts.stop();
  });

  test('D1: an event that comes while the list is being read is told after it, then read anew', async () => {
    const rig = await makeRig(2);
    agent(rig, 1).scripts['vmSync'] = { delayMs: 500 };
    agent(rig, 1).vms = [vm(1)];
    agent(rig, 1).reset(new Error('cut'));
    await rig.clock.advance(300);
    agent(rig, 1).vmEvent(vm(1, { hasProcess: false, state: 'Crashed' }));
    await rig.clock.advance(300);
    expect(rig.hosts.presence.liveVms(h1)).toEqual([]);
    agent(rig, 1).vms = [];
    await rig.clock.advance(3_000);
    const order = rig.heard.slice(-3).map(({ kind }) => kind);
    expect(order).toEqual(['list', 'vm', 'list']);
    expect(rig.hosts.presence.liveVms(h1)).toEqual([]);
    await rig.hosts.stop();
  });

  test('C7: a connect whose host dies in the capacity check does not wait half an hour', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    agent(rig, 1).scripts['capacity'] = { delayMs: 20 * 60_000 };
    await rig.hosts.inventory.reconnect(h1);
    await rig.clock.advance(2_000);
    expect((await rig.hosts.repository.get(h1)).status).toBe('Connecting');
    agent(rig, 1).powerOff();
    await rig.clock.advance(10_000);
    expect((await rig.hosts.repository.get(h1)).status).toBe('Disconnected');
    expect(rig.judgements(h1)).toContain('nothing-answers fence');
    delete agent(rig, 1).scripts['capacity'];
    agent(rig, 1).boot('boot-2');
    await rig.clock.advance(10_000);
    expect((await rig.hosts.repository.get(h1)).status).toBe('Connected');
    await rig.hosts.stop();
  });

  test('another host at the address of this one is no sign of its life', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    Object.assign(agent(rig, 1), { hostUuid: hostUuid(77) });
    agent(rig, 1).scripts['ping'] = { answer: { hostUuid: hostUuid(77) } };
    agent(rig, 2).scans.set(h1, { level: 'nothing' });
    agent(rig, 3).scans.set(h1, { level: 'nothing' });
    await rig.clock.advance(8_000);
    expect(rig.judgements(h1)).toContain('nothing-answers fence');
    await rig.hosts.stop();
  });

  test('a database that fails does not keep a dead host from being judged', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    const { repository } = rig.hosts;
    repository.noteSignsOfLife = () => Promise.reject(new Error('disk full'));
    agent(rig, 1).powerOff();
    await rig.clock.advance(8_000);
    expect(rig.judgements(h1)).toContain('nothing-answers fence');
    await rig.hosts.stop();
  });

  /** The database refuses to change rows of hosts until the answer is called. */
  const fullDisk = async (rig: HostsRig): Promise<() => Promise<unknown>> => {
    const refuse = `BEGIN SELECT RAISE(ABORT, 'disk full'); END`;
    await sql.raw(`CREATE TRIGGER full BEFORE UPDATE ON hosts ${refuse}`).execute(rig.store.db);
    return () => sql`DROP TRIGGER full`.execute(rig.store.db);
  };

  test('a host that dies while the disk is full is shown so once there is room', async () => {
    const rig = await makeRig(3, { prepare: fencing });
    const makeRoom = await fullDisk(rig);
    agent(rig, 1).powerOff();
    await rig.clock.advance(8_000);
    expect(rig.judgements(h1)).toContain('nothing-answers fence');
    await makeRoom();
    await rig.clock.advance(2_000);
    const { liveness, status } = await rig.repository.get(h1);
    expect({ liveness, status }).toEqual({ liveness: 'suspect', status: 'Disconnected' });
    await rig.hosts.stop();
  });

  test('a host that comes back while the disk is full is online once there is room', async () => {
    const rig = await makeRig(3);
    agent(rig, 1).killAgent();
    await rig.clock.advance(8_000);
    const makeRoom = await fullDisk(rig);
    agent(rig, 1).startAgent('instance-2');
    await rig.clock.advance(8_000);
    await makeRoom();
    await rig.clock.advance(70_000);
    const { liveness, status } = await rig.repository.get(h1);
    expect({ liveness, status }).toEqual({ liveness: 'online', status: 'Connected' });
    await rig.clock.settle(rig.hosts.stop());
    expect(rig.clock.pending).toBe(0);
  });
});

describe('start and stop', () => {
  test('C4: the start of the server connects every host without the marker', async () => {
    const markers: boolean[] = [];
    const record = {
      name: 'r',
      run: async ({ info }: { info: { reconnect: boolean } }) => void markers.push(info.reconnect),
    };
    const rig = await makeRig(3, { extensions: { preConnect: [record] } });
    expect(markers).toEqual([false, false, false]);
    await rig.hosts.stop();
  });

  test('C2: a host that could not be connected is tried again, and found when it is there', async () => {
    const rig = await makeRig(2, { prepare: ({ gateway }) => void gateway, start: false });
    agent(rig, 1).killAgent();
    await rig.hosts.start(rig.listener);
    await rig.clock.advance(20_000);
    expect((await rig.hosts.repository.get(h1)).status).toBe('Disconnected');
    expect(rig.gateway.callsOf('echo', h1)).toHaveLength(5);
    agent(rig, 1).startAgent('instance-1');
    await rig.clock.advance(20_000);
    expect((await rig.hosts.repository.get(h1)).status).toBe('Connected');
    expect(rig.livenesses(h1)).toEqual(['online']);
    await rig.hosts.stop();
  });

  test('stop leaves no timer and no open stream behind, whatever was going on', async () => {
    const rig = await makeRig(4, { prepare: fencing });
    agent(rig, 1).powerOff();
    agent(rig, 2).killAgent();
    agent(rig, 3).memoryMiB = 1;
    void rig.hosts.inventory.reconnect(hostUuid(3));
    await rig.clock.advance(9_500);
    await rig.clock.settle(rig.hosts.stop());
    await rig.clock.advance(10);
    expect(rig.agents.map(({ openStreams }) => openStreams)).toEqual([0, 0, 0, 0]);
    expect(rig.clock.pending).toBe(0);
  });

  test('the last sign of life reaches the store, at the latest when a host falls silent', async () => {
    const rig = await makeRig(2);
    agent(rig, 1).powerOff();
    const at =
      rig.clock.wallMs() - rig.clock.monotonicMs() + (rig.hosts.presence.lastSignOfLifeMs(h1) ?? 0);
    await rig.clock.advance(3_400);
    const { lastSignOfLifeAt } = await rig.hosts.repository.get(h1);
    expect(Date.parse(lastSignOfLifeAt ?? '')).toBe(at);
    await rig.hosts.stop();
  });
});
