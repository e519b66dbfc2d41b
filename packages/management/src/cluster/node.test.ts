import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { afterAll, expect, test } from '@jest/globals';
import { openMemoryStore, openSqliteStore } from '../store/adapters/sqlite.js';
import { createCluster, ensureDefaultCluster } from './clusters.js';
import { listNodes, registerNode } from './node.js';

const dirs: string[] = [];
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

const clock = new VirtualClock();
const random = seededRandom(7);

test('each start has the next owner epoch; identity and incarnation stay', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fenceline-node-'));
  dirs.push(dir);
  const seen = [];
  for (let i = 0; i < 3; i += 1) {
    const store = await openSqliteStore(dir);
    const node = await registerNode(store, clock, random);
    expect(await listNodes(store.db, node)).toEqual([
      expect.objectContaining({ uuid: node.uuid, ownerEpoch: node.ownerEpoch, self: true }),
    ]);
    seen.push(node);
    await store.close();
  }
  expect(seen.map(({ ownerEpoch }) => ownerEpoch)).toEqual([1, 2, 3]);
  expect(new Set(seen.map(({ uuid }) => uuid)).size).toBe(1);
  expect(new Set(seen.map(({ databaseIncarnation }) => databaseIncarnation)).size).toBe(1);
});

test('another database is another incarnation', async () => {
  const [first, second] = [await openMemoryStore(), await openMemoryStore()];
  const a = await registerNode(first, clock, random);
  const b = await registerNode(second, clock, random);
  expect(a.databaseIncarnation).not.toBe(b.databaseIncarnation);
  await first.close();
  await second.close();
});

test.each([
  ['node.ownerEpoch', 'many'],
  ['node.ownerEpoch', '-1'],
  ['node.uuid', ''],
])(
  'a damaged record (%s = %j) stops the start: an epoch must never come twice',
  async (key, value) => {
    const store = await openMemoryStore();
    await registerNode(store, clock, random);
    await store.db.updateTable('meta').set({ value }).where('key', '=', key).execute();
    await expect(registerNode(store, clock, random)).rejects.toMatchObject({ code: 'CORRUPT' });
    await store.close();
  },
);

test('the default cluster exists once', async () => {
  const store = await openMemoryStore();
  const deps = { store, clock, random };
  const made = await ensureDefaultCluster(deps);
  expect(await ensureDefaultCluster(deps)).toEqual(made);
  await expect(createCluster(deps, 'default')).rejects.toMatchObject({ code: 'CONFLICT' });
  await store.close();
});
