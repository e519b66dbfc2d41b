import { expect, test } from '@jest/globals';
import { makeHostRepository } from './repository.js';
import { hostUuid, makeWorld } from './testing/world.js';

const h1 = hostUuid(1);

test('a host is read back as it was written', async () => {
  const { repository, addHost } = await makeWorld();
  await addHost(1);
  await repository.update(h1, { addresses: ['192.0.2.1', '198.51.100.1'], cpus: 4 });
  expect(await repository.get(h1)).toMatchObject({
    name: 'h1',
    addresses: ['192.0.2.1', '198.51.100.1'],
    cpus: 4,
    status: 'Disconnected',
    state: 'Enabled',
    ownerEpoch: 1,
  });
});

test('C1: a change of status is one event with its reason; no change is none', async () => {
  const { repository, addHost, seen } = await makeWorld();
  await addHost(1);
  await repository.setStatus(h1, 'Disconnected', 'still');
  expect(seen).toEqual([]);
  await repository.setStatus(h1, 'Connecting', 'asked');
  await repository.setStatus(h1, 'Connecting', 'asked again');
  expect(seen.map(({ kind, factsJson }) => [kind, JSON.parse(factsJson)])).toEqual([
    ['host.status', { from: 'Disconnected', to: 'Connecting', reason: 'asked' }],
  ]);
});

test('C1: an illegal state event changes nothing', async () => {
  const { repository, addHost, seen } = await makeWorld();
  await addHost(1);
  await expect(repository.applyState(h1, 'maintain', 'x')).rejects.toMatchObject({
    code: 'CONFLICT',
  });
  expect((await repository.get(h1)).state).toBe('Enabled');
  expect(seen).toEqual([]);
});

test('D7: each change of liveness leaves a row of history with its reason', async () => {
  const { repository, addHost, seen } = await makeWorld();
  await addHost(1);
  await repository.applyLiveness(h1, 'cameBack', 'its first heartbeat came');
  await repository.applyLiveness(h1, 'cameBack', 'another one');
  await repository.applyLiveness(h1, 'suspected', 'silent for 3000 ms');
  expect(seen.map(({ text }) => text)).toEqual([
    'host h1: late → online (its first heartbeat came)',
    'host h1: online → suspect (silent for 3000 ms)',
  ]);
  expect(await repository.get(h1)).toMatchObject({
    liveness: 'suspect',
    livenessReason: 'silent for 3000 ms',
  });
});

test('rows are guarded by the owner epoch: an owner of before can write nothing', async () => {
  const world = await makeWorld();
  await world.addHost(1);
  const { store, clock, events } = world;
  const next = makeHostRepository({ store, clock, events, owner: { uuid: 'the-next-owner' } });
  await next.claimAll();
  expect((await next.get(h1)).ownerEpoch).toBe(2);
  const lost = { code: 'CONFLICT' };
  await expect(world.repository.update(h1, { cpus: 1 })).rejects.toMatchObject(lost);
  await expect(world.repository.setStatus(h1, 'Connected', '')).rejects.toMatchObject(lost);
  await expect(world.repository.applyLiveness(h1, 'cameBack', '')).rejects.toMatchObject(lost);
  await expect(world.repository.remove(h1, store.db)).rejects.toMatchObject(lost);
  await world.repository.noteSignsOfLife([{ hostUuid: h1, at: 'now' }]);
  expect(await next.get(h1)).toMatchObject({ cpus: null, lastSignOfLifeAt: null });
  await next.update(h1, { cpus: 2 });
  expect((await next.get(h1)).cpus).toBe(2);
});

test('the same node after a restart takes its hosts with a newer epoch', async () => {
  const world = await makeWorld();
  await world.addHost(1);
  const { store, clock, events, owner } = world;
  const restarted = makeHostRepository({ store, clock, events, owner });
  await expect(restarted.update(h1, { cpus: 1 })).rejects.toMatchObject({ code: 'CONFLICT' });
  await restarted.claimAll();
  await restarted.update(h1, { cpus: 1 });
  await expect(world.repository.update(h1, { cpus: 3 })).rejects.toMatchObject({
    code: 'CONFLICT',
  });
});
