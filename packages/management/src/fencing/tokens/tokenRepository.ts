import { Secret } from '@fenceline/common';
import type { Queryable, Store } from '../../store/store.js';

/** The order tokens that hosts may hold and that were never handed out. */
export interface TokenRepository {
  /**
   * Takes the oldest and the newest away for good and answers them, in one transaction. The two are
   * of different deposits if the answer to the last one was lost: one of them is held then.
   */
  takeTwo(hostUuid: string): Promise<readonly [Secret | undefined, Secret | undefined]>;
  /** Answers the place of the first of them; later ones have higher places. */
  add(hostUuid: string, tokens: readonly string[]): Promise<number>;
  /** Those from this place on, oldest first. */
  list(hostUuid: string, from: number): Promise<Secret[]>;
  dropBefore(hostUuid: string, place: number): Promise<void>;
  /** How many each host has. */
  counts(): Promise<Map<string, number>>;
}

export function makeTokenRepository(store: Store): TokenRepository {
  return {
    takeTwo: (hostUuid) => store.transaction((tx) => takeTwo(tx, hostUuid)),
    add: (hostUuid, tokens) => store.transaction((tx) => add(tx, hostUuid, tokens)),
    list: async (hostUuid, from) => {
      const rows = await store.db
        .selectFrom('orderTokens')
        .select('token')
        .where('hostUuid', '=', hostUuid)
        .where('id', '>=', from)
        .orderBy('id')
        .execute();
      return rows.map(({ token }) => new Secret(token));
    },
    dropBefore: async (hostUuid, place) => {
      await store.db
        .deleteFrom('orderTokens')
        .where('hostUuid', '=', hostUuid)
        .where('id', '<', place)
        .execute();
    },
    counts: async () => {
      const rows = await store.db
        .selectFrom('orderTokens')
        .select(['hostUuid', (eb) => eb.fn.countAll<number>().as('count')])
        .groupBy('hostUuid')
        .execute();
      return new Map(rows.map(({ hostUuid, count }) => [hostUuid, count]));
    },
  };
}

async function takeTwo(
  tx: Queryable,
  hostUuid: string,
): Promise<readonly [Secret | undefined, Secret | undefined]> {
  const [first, ...more] = await tx
    .selectFrom('orderTokens')
    .select(['id', 'token'])
    .where('hostUuid', '=', hostUuid)
    .orderBy('id')
    .execute();
  const taken = [first, more.at(-1)].flatMap((row) => row ?? []);
  for (const { id } of taken) await tx.deleteFrom('orderTokens').where('id', '=', id).execute();
  const [one, two] = taken.map(({ token }) => new Secret(token));
  return [one, two];
}

async function add(tx: Queryable, hostUuid: string, tokens: readonly string[]): Promise<number> {
  const { top } = await tx
    .selectFrom('orderTokens')
    .select((eb) => eb.fn.max('id').as('top'))
    .executeTakeFirstOrThrow();
  for (const token of tokens)
    await tx.insertInto('orderTokens').values({ hostUuid, token }).execute();
  return (top ?? 0) + 1;
}
