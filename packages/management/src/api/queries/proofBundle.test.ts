import { expect, test } from '@jest/globals';
import { canonicalJson, proofDigest, verifyBundle, type ProofBundle } from '@fenceline/common';
import { deadVerdict, hostUuid, makeHaWorld, VM, type HaWorld } from '../../ha/testing/haWorld.js';
import { proofBundle } from './proofBundle.js';

const databaseIncarnation = 'e0000000-0000-4000-8000-000000000001';
const exportedAt = '2026-01-01T01:00:00.000Z';

/** What a person gets: over the wire, as text. */
async function exported({ store }: HaWorld): Promise<ProofBundle> {
  const tasks = await store.db.selectFrom('haTasks').select('uuid').orderBy('createdAt').execute();
  const ask = { taskUuid: tasks.at(-1)?.uuid ?? '', exportedAt, databaseIncarnation };
  const bundle = await store.transaction((tx) => proofBundle(tx, ask));
  return JSON.parse(canonicalJson(bundle)) as ProofBundle;
}

async function withDeadHost(): Promise<HaWorld> {
  const world = await makeHaWorld();
  await world.ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  world.judgeDead(1);
  return world;
}

test('I2: what a real HA start stood on verifies by itself', async () => {
  const world = await withDeadHost();
  await world.start();
  const bundle = await exported(world);
  expect(verifyBundle(bundle)).toMatchObject({ problems: [] });
  expect(bundle).toMatchObject({
    task: { vmUuid: VM, state: 'done' },
    runs: [{ epoch: 1, state: 'closed' }],
    leftOut: [],
    proofs: [{ kind: 'peerConfirmedDead', epoch: 1, sequence: 1 }],
    start: { epoch: 2, sequence: 2 },
    head: { sequence: 2 },
  });
});

test('a second failover later: each task has its own start, and the runs before it', async () => {
  const world = await withDeadHost();
  await world.start();
  const first = await exported(world);
  await world.clock.advance(60_000);
  const at = world.hosts.findIndex(({ uuid }) => uuid === first.start?.hostUuid) + 1;
  world.judgeDead(at);
  // The first host is back, or nobody could be asked.
  const back = world.hosts[0];
  if (back !== undefined) back.up = true;
  world.judgements.delete(hostUuid(1));
  await world.start();
  const second = await exported(world);
  expect(verifyBundle(second, second.start?.digest).problems).toEqual([]);
  expect(verifyBundle(second, first.head.digest).problems).toEqual([
    expect.stringContaining('older than the start'),
  ]);
  expect(second.start?.epoch).toBe(3);
  expect(second.runs.map(({ epoch }) => epoch)).toEqual([1, 2]);
});

test('F2: a task that was refused has no start, and its bundle permits none', async () => {
  const world = await withDeadHost();
  for (const host of world.hosts)
    host.fence = () => ({
      hostUuid: hostUuid(1),
      bootId: 'boot-1',
      pidNamespace: 'pid:[1]',
      ...deadVerdict({ qemuConfirmedDead: false, qemuStillAlive: true, outcome: 'stillAlive' }),
    });
  await world.start();
  const bundle = await exported(world);
  expect(bundle).toMatchObject({ start: null, proofs: [], links: [] });
  expect(verifyBundle(bundle).problems).toEqual([
    expect.stringContaining('run 1: on host'),
    expect.stringContaining('nothing permits one'),
  ]);
});

test('a bundle is bounded: thousands of proofs later it still verifies, up to where it goes', async () => {
  const world = await withDeadHost();
  await world.start();
  const { head } = await exported(world);
  const row = await world.store.db.selectFrom('proofs').selectAll().executeTakeFirstOrThrow();
  await world.store.transaction(async (tx) => {
    let previousDigest = head.digest;
    for (let sequence = 3; sequence <= 5_100; sequence += 1) {
      const { factsJson, ...rest } = row;
      const facts = JSON.parse(factsJson) as ProofBundle['proofs'][number]['facts'];
      const next = { ...rest, uuid: `proof-${sequence}`, sequence, previousDigest };
      const digest = proofDigest({ ...next, facts });
      await tx
        .insertInto('proofs')
        .values({ ...next, factsJson, digest })
        .execute();
      previousDigest = digest;
    }
  });
  const later = await exported(world);
  expect(verifyBundle(later, head.digest).problems).toEqual([]);
  expect([later.links.length, later.head.sequence, later.leftOut]).toEqual([5_000, 5_000, []]);

  const at = world.hosts.findIndex(({ uuid }) => uuid === later.start?.hostUuid) + 1;
  world.judgeDead(at);
  const [back] = world.hosts;
  if (back !== undefined) back.up = true;
  world.judgements.delete(hostUuid(1));
  await world.start();
  const next = await exported(world);
  expect(next).toMatchObject({
    start: { epoch: 3 },
    runs: [{ epoch: 2 }],
    leftOut: [{ epoch: 1, proofDigest: row.digest }],
  });
  expect(verifyBundle(next, next.start?.digest).problems).toEqual([]);
});

test('a database that was tampered with exports what does not verify', async () => {
  const world = await withDeadHost();
  await world.start();
  await world.store.db.updateTable('proofs').set({ kind: 'powerOff' }).execute();
  expect(verifyBundle(await exported(world)).problems.join('\n')).toContain(
    'proof 1 (powerOff): its evidence proves peerConfirmedDead',
  );
});
