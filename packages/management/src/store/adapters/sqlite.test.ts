import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { openMemoryStore, openSqliteStore } from './sqlite.js';

const dirs: string[] = [];
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});
function stateDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'fenceline-store-'));
  dirs.push(dir);
  return dir;
}

test('a write is there after the database was closed and opened again', async () => {
  const dir = stateDir();
  const first = await openSqliteStore(dir);
  await first.db.insertInto('meta').values({ key: 'a', value: '1' }).execute();
  await first.close();
  const second = await openSqliteStore(dir);
  expect(await second.db.selectFrom('meta').selectAll().execute()).toEqual([
    { key: 'a', value: '1' },
  ]);
  await second.close();
});

test('a second server on the same database is refused with what to do', async () => {
  const dir = stateDir();
  const first = await openSqliteStore(dir);
  await expect(openSqliteStore(dir)).rejects.toMatchObject({
    code: 'LOCKED',
    message: expect.stringContaining('stop it'),
  });
  await first.close();
  await (await openSqliteStore(dir)).close();
});

test('a damaged database is told as such', async () => {
  const dir = stateDir();
  writeFileSync(
    join(dir, 'fenceline.db'),
    'this is no database, whatever its name says '.repeat(40),
  );
  await expect(openSqliteStore(dir)).rejects.toMatchObject({ code: 'CORRUPT' });
});

test('a transaction that throws leaves nothing behind', async () => {
  const store = await openMemoryStore();
  const work = store.transaction(async (tx) => {
    await tx.insertInto('meta').values({ key: 'a', value: '1' }).execute();
    throw new Error('stop');
  });
  await expect(work).rejects.toThrow('stop');
  expect(await store.db.selectFrom('meta').selectAll().execute()).toEqual([]);
  await store.close();
});

test('a disk that is full within a transaction is told as such', async () => {
  const store = await openMemoryStore();
  await sql`pragma max_page_count = 1`.execute(store.db);
  const work = store.transaction(async (tx) => {
    await tx
      .insertInto('meta')
      .values({ key: 'a', value: 'x'.repeat(100_000) })
      .execute();
  });
  await expect(work).rejects.toMatchObject({ code: 'SQLITE_FULL' });
  await sql`pragma max_page_count = 1000000`.execute(store.db);
  await store.transaction((tx) => tx.insertInto('meta').values({ key: 'a', value: '1' }).execute());
  expect(await store.db.selectFrom('meta').selectAll().execute()).toHaveLength(1);
  await store.close();
});

test('F11: the database refuses a second open HA task for one VM', async () => {
  const store = await openMemoryStore();
  const task = (uuid: string, endedAt: string | null) => ({
    uuid,
    vmUuid: 'vm',
    taskToken: 1,
    ownerUuid: 'o',
    reason: 'r',
    judger: 'manual' as const,
    siblingHostUuidsJson: '[]',
    softAvoidHostUuidsJson: '[]',
    preferredHostUuid: null,
    state: 'waiting' as const,
    attempt: 0,
    waitsFor: null,
    waysOutJson: '[]',
    nextTryAt: null,
    destinationHostUuid: null,
    createdAt: 'now',
    endedAt,
  });
  await store.db.insertInto('haTasks').values(task('a', 'then')).execute();
  await store.db.insertInto('haTasks').values(task('b', null)).execute();
  await expect(store.db.insertInto('haTasks').values(task('c', null)).execute()).rejects.toThrow();
  await store.close();
});
