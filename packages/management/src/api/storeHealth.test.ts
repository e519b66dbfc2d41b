import { recordingLogger, VirtualClock } from '@fenceline/common/testing';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { openMemoryStore } from '../store/adapters/sqlite.js';
import type { Store } from '../store/store.js';
import { explainStoreError, watchStore } from './storeHealth.js';

let store: Store;
beforeEach(async () => {
  store = await openMemoryStore();
});
afterEach(() => store.close());

/** SQLite says SQLITE_FULL as on a full disk: the database may not grow. */
async function fillUp(): Promise<void> {
  await sql`pragma max_page_count = 1`.execute(store.db);
  const values = { key: 'filler', value: 'x'.repeat(100_000) };
  await store.db
    .insertInto('meta')
    .values(values)
    .execute()
    .then(
      () => undefined,
      () => undefined,
    );
}

const makeRoom = () => sql`pragma max_page_count = 1000000`.execute(store.db);

async function fullError(): Promise<unknown> {
  await fillUp();
  try {
    const values = { key: 'more', value: 'x'.repeat(100_000) };
    await store.db.insertInto('meta').values(values).execute();
  } catch (error) {
    return error;
  }
  throw new Error('the database took a write although it is full');
}

test('a full disk: an alarm once, until writes work again', async () => {
  const { log, lines } = recordingLogger();
  const clock = new VirtualClock();
  const health = watchStore({ store, clock, log });
  expect(await health.probe()).toBe(true);
  health.note(await fullError());
  expect(health.problem()).toContain('the disk of the state directory is full: free some space');
  health.note(await fullError());
  expect(lines.map(({ level }) => level)).toEqual(['error']);
  await makeRoom();
  await clock.advance(20_000);
  await clock.advance(10_000);
  expect(health.problem()).toBeUndefined();
  expect(lines.at(-1)?.sentence).toBe('the database takes writes again');
  health.stop();
});

test('anybody may ask, one write answers for two seconds', async () => {
  const { log } = recordingLogger();
  const clock = new VirtualClock();
  const health = watchStore({ store, clock, log });
  await Promise.all([health.probe(), health.probe()]);
  const probeRow = () =>
    store.db.selectFrom('meta').select('value').where('key', '=', 'health.probe').execute();
  const first = await probeRow();
  await clock.advance(1_000);
  await health.probe();
  expect(await probeRow()).toEqual(first);
  await clock.advance(1_000);
  await health.probe();
  expect(await probeRow()).not.toEqual(first);
  health.stop();
});

test('a database that is gone is a problem too, and after stop nothing is left running', async () => {
  const { log } = recordingLogger();
  const clock = new VirtualClock();
  const health = watchStore({ store, clock, log });
  await store.db.schema.dropTable('meta').execute();
  expect(await health.probe()).toBe(false);
  expect(health.problem()).toContain('takes no writes');
  health.stop();
  expect(clock.pending).toBe(0);
});

test('a failing store has its own code; other errors stay what they are', async () => {
  expect(explainStoreError(await fullError())).toMatchObject({ code: 'STORE_FAILED', status: 507 });
  const other = new Error('boom');
  expect(explainStoreError(other)).toBe(other);
});
