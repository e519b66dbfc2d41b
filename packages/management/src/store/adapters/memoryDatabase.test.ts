import { expect, test } from '@jest/globals';
import { makeMemoryDatabase, type LosableStore } from './memoryDatabase.js';

const put = (store: LosableStore, key: string) =>
  store.db.insertInto('meta').values({ key, value: '1' }).execute();
const keys = async (store: LosableStore): Promise<string[]> =>
  (await store.db.selectFrom('meta').select('key').execute()).map(({ key }) => key);
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what a server wrote is there for the next one', async () => {
  const database = makeMemoryDatabase();
  const first = await database.open();
  await put(first, 'a');
  await first.close();
  expect(await keys(await database.open())).toContain('a');
});

test('a lost server leaves no half transaction, and its calls have no effect and never settle', async () => {
  const database = makeMemoryDatabase();
  const first = await database.open();
  let settled = false;
  const work = first.transaction(async (tx) => {
    await tx.insertInto('meta').values({ key: 'half', value: '1' }).execute();
    first.lose();
    await tx.insertInto('meta').values({ key: 'late', value: '1' }).execute();
  });
  work.then(
    () => (settled = true),
    () => (settled = true),
  );
  await turn();
  put(first, 'dead').catch(() => undefined);
  await turn();
  const second = await database.open();
  await put(second, 'b');
  expect(await keys(second)).toEqual(expect.arrayContaining(['b']));
  expect(await keys(second)).not.toEqual(expect.arrayContaining(['half']));
  expect(await keys(second)).not.toEqual(expect.arrayContaining(['late']));
  expect(await keys(second)).not.toEqual(expect.arrayContaining(['dead']));
  expect(settled).toBe(false);
});
