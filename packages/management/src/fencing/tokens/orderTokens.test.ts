import { afterEach, describe, expect, test } from '@jest/globals';
import { recordingLogger } from '@fenceline/common/testing';
import { TransportError } from '@fenceline/protocol';
import { hostUuid } from '../../hosts/testing/world.js';
import { makeVault, readinessRig, type ReadinessRig } from '../testing/readinessRig.js';
import { makeTokenRepository } from './tokenRepository.js';

const h1 = { uuid: hostUuid(1), name: 'h1' };
let rig: ReadinessRig;
afterEach(() => rig.stop());

const stored = async (): Promise<string[]> =>
  (await makeTokenRepository(rig).listFresh(h1.uuid, 0)).map((token) => token.reveal());
const held = (): readonly string[] => rig.agents[0]?.orderTokens ?? [];
const taken = async (): Promise<string[]> =>
  (await rig.readiness.tokens.take(h1)).tokens.map((token) => token.reveal());

test('F29a: a connect deposits a fresh set, and the store has exactly that', async () => {
  rig = await readinessRig(1);
  expect(held()).toHaveLength(16);
  expect(new Set(held()).size).toBe(16);
  for (const token of held()) expect(token).toMatch(/^[0-9a-f]{32}$/);
  expect(await stored()).toEqual(held());
  const [deposit] = rig.gateway.callsOf('orderTokens', h1.uuid);
  expect(deposit?.command).toMatchObject({ replace: true });
  expect(rig.gateway.callsOf('connect', h1.uuid)[0]?.command).toMatchObject({ orderTokens: true });
});

test('F29a: what is taken is marked before it can leave, and never comes again', async () => {
  rig = await readinessRig(1);
  const all = new Set<string>();
  for (let n = 0; n < 6; n += 1) {
    const before = await stored();
    const tokens = await taken();
    expect(before).toEqual(expect.arrayContaining(tokens));
    const after = await stored();
    for (const token of tokens) {
      expect(after).not.toContain(token);
      expect(all).not.toContain(token);
      all.add(token);
    }
  }
  expect(all.size).toBe(16);
});

test('F29a: none left: refused with a reason, and one alarm', async () => {
  rig = await readinessRig(1);
  const agent = rig.agents[0];
  agent?.powerOff();
  for (let n = 0; n < 6; n += 1) await taken();
  for (let n = 0; n < 2; n += 1)
    await expect(rig.readiness.tokens.take(h1)).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringContaining('no order token of h1 is left'),
    });
  expect(rig.kinds().filter((kind) => kind === 'fence.tokens.none')).toHaveLength(1);
});

test('F29a: used ones are renewed, but not while an order is out', async () => {
  rig = await readinessRig(1);
  const letGo = rig.readiness.tokens.hold(h1.uuid);
  const [one] = await taken();
  await rig.clock.advance(30_000);
  // Its order may still be on the way: nothing is replaced under it.
  expect(held()).toContain(one);
  expect(rig.gateway.callsOf('orderTokens')).toHaveLength(1);
  letGo();
  await rig.clock.advance(12_000);
  expect(held()).toHaveLength(16);
  expect(held()).not.toContain(one);
  expect(await stored()).toEqual(held());
});

test('F29a: after a renewal the store forgets what any peer has seen', async () => {
  rig = await readinessRig(1);
  const { db } = rig.store;
  const rows = () => db.selectFrom('orderTokens').select(['id', 'state']).execute();
  const call = await rig.readiness.tokens.take(h1);
  await call.giveBack([1]);
  const seen = (await rows()).filter(({ state }) => state !== 'fresh').map(({ id }) => id);
  expect(seen).toHaveLength(3);
  await rig.clock.advance(25_000);
  const left = await rows();
  expect(left.filter(({ id }) => seen.includes(id))).toEqual([]);
  expect(left.map(({ state }) => state)).toEqual(left.map(() => 'fresh'));
});

test('F29a: what a host has lost is deposited again', async () => {
  rig = await readinessRig(1);
  const before = [...held()];
  if (rig.agents[0] !== undefined) rig.agents[0].orderTokens = [];
  await rig.clock.advance(25_000);
  expect(held()).toEqual(before);
});

test('F29a: a server that was killed after it took a token never hands that one out again', async () => {
  rig = await readinessRig(1);
  const gone = await taken();
  rig.agents[0]?.killAgent();
  await rig.restart();
  // The host is not connected: what it held before is still what can be handed out.
  const rest = new Set<string>();
  for (let n = 0; n < 5; n += 1) for (const token of await taken()) rest.add(token);
  expect(rest.size).toBe(13);
  expect(gone.filter((token) => rest.has(token))).toEqual([]);
  expect([...rest].every((token) => held().includes(token))).toBe(true);
});

test('F29a: a reconnect replaces all, so a restored database brings no old token back', async () => {
  rig = await readinessRig(1);
  const old = [...held()];
  await taken();
  const backup = await rig.store.db.selectFrom('orderTokens').selectAll().execute();
  await taken();
  await rig.store.db.deleteFrom('orderTokens').execute();
  await rig.store.db.insertInto('orderTokens').values(backup).execute();
  await rig.restart();
  expect(held()).toHaveLength(16);
  expect(held().filter((token) => old.includes(token))).toEqual([]);
  expect(await stored()).toEqual(held());
});

test('F29a: a deposit whose answer is lost: of the tokens of a call one is held', async () => {
  rig = await readinessRig(1);
  const agent = rig.agents[0];
  const before = [...held()];
  if (agent !== undefined)
    agent.scripts['orderTokens'] = { fails: new TransportError('reset', 'cut') };
  await rig.hosts.inventory.reconnect(h1.uuid);
  await rig.clock.advance(200);
  const [first, spare] = await taken();
  expect(before).toContain(first);
  expect(before).not.toContain(spare);
  if (agent !== undefined) agent.scripts = {};
  await rig.clock.advance(70_000);
  expect(held().filter((token) => before.includes(token))).toEqual([]);
});

test('F29a: 0 asks for none, and takes away what was there', async () => {
  rig = await readinessRig(1);
  rig.settings.ha.preFence.orderTokens = 0;
  await rig.hosts.inventory.reconnect(h1.uuid);
  await rig.clock.advance(5_000);
  expect(held()).toEqual([]);
  expect(await stored()).toEqual([]);
  expect(await taken()).toEqual([]);
  expect(rig.gateway.callsOf('connect', h1.uuid).at(-1)?.command).toMatchObject({
    orderTokens: false,
  });
});

test('F29a: tokens never go to another agent at that address', async () => {
  rig = await readinessRig(1);
  const letGo = rig.readiness.tokens.hold(h1.uuid);
  await taken();
  letGo();
  const agent = rig.agents[0];
  if (agent !== undefined) agent.scripts['ping'] = { answer: { hostUuid: hostUuid(2) } };
  await rig.clock.advance(12_000);
  expect(rig.gateway.callsOf('orderTokens')).toHaveLength(1);
});

test('F28: no token in a log, an event, or what a Secret prints', async () => {
  const { log, lines } = recordingLogger();
  rig = await readinessRig(1, { log });
  const tokens = [...held()];
  const pair = await rig.readiness.tokens.take(h1);
  const said = JSON.stringify([lines, rig.seen, pair, await rig.hosts.inventory.list()]);
  for (const token of tokens) expect(said).not.toContain(token);
});

test('F28: a copy of the database hands no token out', async () => {
  rig = await readinessRig(1);
  await taken();
  const rows = await rig.store.db.selectFrom('orderTokens').selectAll().execute();
  expect(rows).toHaveLength(16);
  for (const token of held()) expect(JSON.stringify(rows)).not.toContain(token);
  const other = makeTokenRepository({ ...rig, loginVault: makeVault('another key') });
  expect([await other.take(h1.uuid, 3), await other.listFresh(h1.uuid, 0)]).toEqual([[], []]);
});

test('F29a: a server that lost its key hands nothing out, and a connect makes all of it good', async () => {
  rig = await readinessRig(1);
  rig.agents[0]?.killAgent();
  rig.loginVault = makeVault('a new key');
  await rig.restart();
  await expect(taken()).rejects.toMatchObject({ code: 'REFUSED' });
  rig.agents[0]?.startAgent('a second life');
  await rig.clock.advance(70_000);
  expect(held()).toHaveLength(16);
  expect(await stored()).toEqual(held());
});

test('a host that is removed leaves no tokens behind', async () => {
  rig = await readinessRig(1);
  await rig.hosts.inventory.remove(h1.uuid);
  await rig.clock.advance(12_000);
  expect(await stored()).toEqual([]);
});

describe('F29a: tokens that no order has used', () => {
  const giveBack = async (places: number[]): Promise<string[]> => {
    const call = await rig.readiness.tokens.take(h1);
    await call.giveBack(places);
    return call.tokens.map((token) => token.reveal());
  };

  test('F29a: they serve again while the host is ill; what was used does not', async () => {
    rig = await readinessRig(1);
    rig.agents[0]?.powerOff();
    const [used, ...back] = await giveBack([1, 2]);
    const later = new Set<string>();
    for (let n = 0; n < 5; n += 1) for (const token of await taken()) later.add(token);
    expect([...later]).toEqual(expect.arrayContaining(back));
    expect(later).not.toContain(used);
    await expect(taken()).rejects.toMatchObject({ code: 'REFUSED' });
  });

  test('F29a: a peer has seen them, so the next deposit drops them, on the host, too', async () => {
    rig = await readinessRig(1);
    const seen = await giveBack([0, 1, 2]);
    expect(await stored()).toHaveLength(13);
    expect(held()).toEqual(expect.arrayContaining(seen));
    await rig.clock.advance(12_000);
    expect(held()).toHaveLength(16);
    expect(held().filter((token) => seen.includes(token))).toEqual([]);
    expect(await stored()).toEqual(held());
  });

  test('F29a: of an older deposit nothing comes back', async () => {
    rig = await readinessRig(1);
    const call = await rig.readiness.tokens.take(h1);
    await rig.hosts.inventory.reconnect(h1.uuid);
    await rig.clock.advance(5_000);
    await call.giveBack([0, 1, 2]);
    const old = call.tokens.map((token) => token.reveal());
    for (let n = 0; n < 5; n += 1)
      expect((await taken()).filter((token) => old.includes(token))).toEqual([]);
  });

  test('F29a: a server that was killed before it gave them back hands none of them out', async () => {
    rig = await readinessRig(1);
    const before = await taken();
    rig.agents[0]?.killAgent();
    await rig.restart();
    for (let n = 0; n < 5; n += 1)
      expect((await taken()).filter((token) => before.includes(token))).toEqual([]);
  });

  test('F29a: of another host a place means nothing', async () => {
    rig = await readinessRig(2);
    const repository = makeTokenRepository(rig);
    const [one] = await repository.take(h1.uuid, 1);
    if (one === undefined) throw new Error('it has some');
    await repository.putBack(hostUuid(2), [one]);
    expect((await repository.counts()).get(h1.uuid)).toEqual({ usable: 15, fresh: 15 });
    expect((await repository.counts()).get(hostUuid(2))).toEqual({ usable: 16, fresh: 16 });
  });
});
