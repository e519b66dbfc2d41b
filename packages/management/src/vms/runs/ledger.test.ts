import { describe, expect, test } from '@jest/globals';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { proofByOperator } from '../../fencing/proofs/byOperator.js';
import { proofByUnreachable } from '../../fencing/proofs/byUnreachable.js';
import { proofByPeer } from '../../fencing/proofs/byPeer.js';
import { hostRow, hostUuid, VM, vmRow } from '../../ha/testing/rows.js';
import type { PeerEvidence } from '../../messages/types.js';
import { openMemoryStore } from '../../store/adapters/sqlite.js';
import { chainBrokenAt, chainFrom } from './chain.js';
import { makeLedger } from './ledger.js';
import type { Run } from './run.js';

const DISKS = [{ kind: 'file' as const, source: '/srv/a.img' }];

async function makeWorld() {
  const store = await openMemoryStore();
  const clock = new VirtualClock();
  const ledger = makeLedger({ store, clock, random: seededRandom(3) });
  await store.db.insertInto('vms').values(vmRow(DISKS)).execute();
  for (const n of [2, 3])
    await store.db
      .insertInto('hosts')
      .values(hostRow(hostUuid(n), `h${n}`))
      .execute();
  const ask = { vmUuid: VM, hostUuid: hostUuid(2), bootId: 'boot-2', liveOn: [] };
  const lastSignOfLifeMs = (): undefined => undefined;
  return {
    store,
    clock,
    ledger,
    grant: (change: Partial<Parameters<typeof ledger.grant>[0]> = {}) =>
      ledger.grant({ ...ask, lastSignOfLifeMs, ...change }),
    adopt: () => ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' }),
  };
}

function deadBy(run: Run): ReturnType<typeof proofByPeer> {
  const evidence: PeerEvidence = {
    peerHostUuid: hostUuid(3),
    success: true,
    qemuConfirmedDead: true,
    qemuStillAlive: false,
    targetHostUnreachable: false,
    outcome: 'confirmedDead',
    hostUuid: run.hostUuid,
    bootId: run.bootId,
    pidNamespace: 'pid:[1]',
    barrier: 'disk',
    disks: [{ source: '/srv/a.img', drained: 'direct' }],
    killed: [],
  };
  return proofByPeer(run, evidence, DISKS);
}

function wordFor(run: Run, lookedAtMs = 0): ReturnType<typeof proofByOperator> {
  return proofByOperator(run, {
    operator: 'ann',
    reason: 'I pulled the plug',
    typedName: 'h1',
    hostName: 'h1',
    silentForMs: 200_000,
    requiredSilenceMs: 120_000,
    expiresAfterSec: 600,
    lookedAtMs,
  });
}

/** One sibling's word, as where `ha.unreachable.policy` is `single`. */
function silenceOf(run: Run, lookedAtMs = 0): ReturnType<typeof proofByPeer> {
  const verdict = { success: true, qemuConfirmedDead: false, qemuStillAlive: false };
  const word = { hostUuid: hostUuid(3), outcome: 'unreachable' };
  const facts = {
    ...{ minSiblings: 2, eligibleSiblings: 2, signOfLife: false, records: [] },
    siblings: [{ ...word, verdict: { ...verdict, targetHostUnreachable: true } }],
  };
  return proofByUnreachable(run, { policy: 'single', ...facts }, lookedAtMs);
}

function proofOf(judged: ReturnType<typeof proofByPeer>) {
  if (!('proof' in judged)) throw new Error(judged.refused);
  return judged.proof;
}

describe('the gate of every start', () => {
  test('F33: an open run on another host refuses, and no new run is recorded', async () => {
    const world = await makeWorld();
    await world.adopt();
    await expect(world.grant()).rejects.toMatchObject({ code: 'REFUSED' });
    expect(await world.ledger.openRuns(VM)).toHaveLength(1);
  });

  test('F33: a run of a lost start (maybe) refuses the next one, on the same host too', async () => {
    const world = await makeWorld();
    await world.grant();
    await expect(world.grant()).rejects.toThrow('not proven over (maybe)');
    await expect(world.grant({ hostUuid: hostUuid(3) })).rejects.toThrow('not proven over');
  });

  test('F33: the run is committed as maybe before the grant is handed out', async () => {
    const world = await makeWorld();
    const grant = await world.grant();
    const row = await world.store.db.selectFrom('runs').selectAll().executeTakeFirst();
    expect(row).toMatchObject({ epoch: grant.run.epoch, state: 'maybe', hostUuid: hostUuid(2) });
  });

  test('F11: epochs grow with every run, also over adopted ones', async () => {
    const world = await makeWorld();
    const run = await world.ledger.adopt({
      vmUuid: VM,
      mark: 41,
      hostUuid: hostUuid(1),
      bootId: 'boot-1',
    });
    await world.ledger.close(proofOf(deadBy(run)), null);
    expect((await world.grant()).run.epoch).toBe(42);
  });

  test.each([
    [{ state: 'Maintenance' as const }, 'Connected and Maintenance'],
    [{ status: 'Disconnected' as const }, 'Disconnected and Enabled'],
  ])('F40: a destination that went out of use meanwhile (%j) refuses', async (change, why) => {
    const world = await makeWorld();
    await world.store.db.updateTable('hosts').set(change).execute();
    await expect(world.grant()).rejects.toThrow(why);
    await world.store.db.deleteFrom('hosts').execute();
    await expect(world.grant()).rejects.toThrow('is gone');
  });

  test('F38: a VM seen alive anywhere refuses', async () => {
    const world = await makeWorld();
    const liveOn = [{ hostUuid: hostUuid(3), epoch: 1 }];
    await expect(world.grant({ liveOn })).rejects.toThrow('seen alive');
  });

  test('F33: one life that is reported twice at once is one run', async () => {
    const world = await makeWorld();
    const [one, two] = await Promise.all([world.adopt(), world.adopt()]);
    expect(two).toEqual(one);
    expect(await world.ledger.openRuns(VM)).toHaveLength(1);
  });

  test('F33: two runs found at once are two runs, each with its own epoch', async () => {
    const world = await makeWorld();
    const found = [1, 2].map((n) =>
      world.ledger.adopt({ vmUuid: VM, hostUuid: hostUuid(n), bootId: `boot-${n}`, mark: 1 }),
    );
    const epochs = (await Promise.all(found)).map(({ epoch }) => epoch);
    expect(new Set(epochs)).toEqual(new Set([1, 2]));
    expect(await world.ledger.openRuns(VM)).toHaveLength(2);
  });

  test('F33: two grants at once: one of them', async () => {
    const world = await makeWorld();
    const both = await Promise.allSettled([world.grant(), world.grant({ hostUuid: hostUuid(3) })]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('closing a run', () => {
  test('twice is harmless: the first proof stays', async () => {
    const world = await makeWorld();
    const run = await world.adopt();
    const first = await world.ledger.close(proofOf(deadBy(run)), 'task');
    const second = await world.ledger.close(proofOf(wordFor(run)), 'task');
    expect(second.uuid).toBe(first.uuid);
  });

  test('proofs and starts form one chain, and a changed one breaks it', async () => {
    const world = await makeWorld();
    const { db } = world.store;
    await world.ledger.close(proofOf(deadBy(await world.adopt())), null);
    const { run, digest } = await world.grant();
    await world.ledger.close(proofOf(deadBy(run)), null);
    const places = async () => (await chainFrom(db, 1, 9)).map(({ sequence }) => sequence);
    expect([await places(), await chainBrokenAt(db)]).toEqual([[1, 2, 3], undefined]);
    expect((await chainFrom(db, 2, 1))[0]?.digest).toBe(digest);
    const broken = async (change: () => Promise<unknown>) => {
      const before = await db.selectFrom('proofs').selectAll().execute();
      const starts = await db.selectFrom('starts').selectAll().execute();
      await change();
      const at = await chainBrokenAt(db);
      await db.deleteFrom('proofs').execute();
      await db.deleteFrom('starts').execute();
      await db.insertInto('proofs').values(before).execute();
      await db.insertInto('starts').values(starts).execute();
      return at;
    };
    const proofs = db.updateTable('proofs');
    const changes: [number, () => Promise<unknown>][] = [
      [1, () => proofs.set({ kind: 'powerOff' }).execute()],
      [3, () => proofs.set({ factsJson: '{}' }).where('sequence', '=', 3).execute()],
      [2, () => db.deleteFrom('proofs').where('sequence', '=', 1).execute()],
      [3, () => db.deleteFrom('starts').execute()],
      [2, () => db.updateTable('starts').set({ hostUuid: 'h9' }).execute()],
      [
        2,
        () =>
          db
            .updateTable('starts')
            .set({ standsOn: '0'.repeat(64) })
            .execute(),
      ],
      [2, () => proofs.set({ sequence: 0 }).where('sequence', '=', 1).execute()],
    ];
    for (const [place, change] of changes) expect(await broken(change)).toBe(place);
    expect(await chainBrokenAt(db)).toBeUndefined();
  });
});

describe.each([
  ['operatorConfirmed', wordFor],
  ['hostUnreachable', silenceOf],
])('what stands on silence alone: %s', (_kind, silence) => {
  async function confirmed() {
    const world = await makeWorld();
    await world.ledger.close(proofOf(silence(await world.adopt())), null);
    return world;
  }

  test('F41: holds while the host stays silent', async () => {
    const world = await confirmed();
    await world.clock.advance(60_000);
    expect((await world.grant()).run.epoch).toBe(2);
  });

  test('F41: a later sign of life voids it before it is used', async () => {
    const world = await confirmed();
    await world.clock.advance(60_000);
    const lastSignOfLifeMs = (): number => 50_000;
    await expect(world.grant({ lastSignOfLifeMs })).rejects.toThrow('sign of life');
    expect(await world.ledger.reviseProofs({ vmUuid: VM, lastSignOfLifeMs })).toHaveLength(1);
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ epoch: 1, state: 'maybe' }]);
  });

  test('F41: a sign of life between the look at the silence and its record voids it', async () => {
    const world = await makeWorld();
    const run = await world.adopt();
    await world.clock.advance(10_000);
    await world.ledger.close(proofOf(silence(run, 5_000)), null);
    const voided = (ms: number) =>
      world.ledger.reviseProofs({ vmUuid: VM, lastSignOfLifeMs: () => ms });
    expect(await voided(4_999)).toEqual([]);
    expect(await voided(5_000)).toHaveLength(1);
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ epoch: 1, state: 'maybe' }]);
  });

  test('F41: a time of day that is set back hides no sign of life', async () => {
    const world = await confirmed();
    await world.clock.advance(60_000);
    world.clock.stepWall(-3_600_000);
    await expect(world.grant({ lastSignOfLifeMs: () => 50_000 })).rejects.toThrow('sign of life');
  });

  test('F41: is asked for again after the server restarted: nobody watched the host', async () => {
    const world = await confirmed();
    const { store, clock } = world;
    const later = makeLedger({ store, clock, random: seededRandom(4) });
    const ask = { vmUuid: VM, hostUuid: hostUuid(2), bootId: 'boot-2', liveOn: [] };
    const lastSignOfLifeMs = (): undefined => undefined;
    await expect(later.grant({ ...ask, lastSignOfLifeMs })).rejects.toThrow('server restarted');
    await later.reviseProofs({ vmUuid: VM, lastSignOfLifeMs });
    expect(await later.openRuns(VM)).toHaveLength(1);
  });

  test("a person's word expires", async () => {
    const world = await makeWorld();
    await world.ledger.close(proofOf(wordFor(await world.adopt())), null);
    await world.clock.advance(601_000);
    await expect(world.grant()).rejects.toThrow('expired');
  });

  test('F41: never voids an observed death', async () => {
    const world = await makeWorld();
    await world.ledger.close(proofOf(deadBy(await world.adopt())), null);
    await world.clock.advance(60_000);
    expect((await world.grant({ lastSignOfLifeMs: () => 60_000 })).run.epoch).toBe(2);
  });

  test('F41: a start that came to nothing has not used it: a sign of life still voids it', async () => {
    const world = await confirmed();
    await world.clock.advance(1_000);
    const { run } = await world.grant();
    await world.ledger.close(proofOf(deadBy(run)), null);
    await world.clock.advance(60_000);
    const lastSignOfLifeMs = (): number => 50_000;
    await expect(world.grant({ lastSignOfLifeMs })).rejects.toThrow('sign of life');
    await world.ledger.reviseProofs({ vmUuid: VM, lastSignOfLifeMs });
    expect(await world.ledger.openRuns(VM)).toMatchObject([{ epoch: 1 }]);
  });

  test('F41: a run that was there before the word did not rely on it: its sight uses up nothing', async () => {
    const world = await makeWorld();
    const run = await world.adopt();
    const found = { vmUuid: VM, mark: 7, hostUuid: hostUuid(2), bootId: 'boot-2' };
    const { epoch } = await world.ledger.adopt(found);
    await world.clock.advance(1_000);
    await world.ledger.close(proofOf(silence(run, 1_000)), null);
    await world.ledger.seenRunning(VM, epoch);
    const lastSignOfLifeMs = (): number => 2_000;
    expect(await world.ledger.reviseProofs({ vmUuid: VM, lastSignOfLifeMs })).toHaveLength(1);
    expect(await world.ledger.openRuns(VM)).toHaveLength(2);
  });

  test('F41: once a start that relied on it is seen running, it is not asked again', async () => {
    const world = await confirmed();
    await world.clock.advance(1_000);
    const { run } = await world.grant();
    await world.ledger.seenRunning(VM, run.epoch);
    await world.clock.advance(3_600_000);
    await world.ledger.close(proofOf(deadBy(run)), null);
    expect((await world.grant({ lastSignOfLifeMs: () => 3_000_000 })).run.epoch).toBe(3);
  });
});
