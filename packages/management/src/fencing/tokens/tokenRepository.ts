import { Secret } from '@fenceline/common';
import type { OrderTokenState } from '../../store/fencingTables.js';
import type { Queryable, Store } from '../../store/store.js';

/** A token with its place in the order of deposits. */
export interface PlacedToken {
  place: number;
  token: Secret;
}

/** The order tokens that hosts may hold. */
export interface TokenRepository {
  /**
   * At most so many, in one transaction, never to be handed out again: the oldest, the newest, then
   * the next oldest ones. The first two are of different deposits if the answer to the last one was
   * lost: one of them is held then.
   */
  take(hostUuid: string, most: number): Promise<PlacedToken[]>;
  /** Taken ones that no order has used can be taken again; of older deposits nothing comes back. */
  putBack(hostUuid: string, tokens: readonly PlacedToken[]): Promise<void>;
  /** Answers the place of the first of them; later ones have higher places. */
  add(hostUuid: string, tokens: readonly string[]): Promise<number>;
  /** Those from this place on that no peer has seen, oldest first. */
  listFresh(hostUuid: string, from: number): Promise<Secret[]>;
  dropBefore(hostUuid: string, place: number): Promise<void>;
  /** All that a peer has seen. */
  dropSeen(hostUuid: string): Promise<void>;
  /** For each host how many can be taken, and how many of them no peer has seen. */
  counts(): Promise<Map<string, { usable: number; fresh: number }>>;
}

const USABLE: readonly OrderTokenState[] = ['fresh', 'exposed'];
const SEEN: readonly OrderTokenState[] = ['taken', 'exposed'];

export function makeTokenRepository(store: Store): TokenRepository {
  const { db } = store;
  const drop = (hostUuid: string) => db.deleteFrom('orderTokens').where('hostUuid', '=', hostUuid);
  return {
    take: (hostUuid, most) => store.transaction((tx) => take(tx, hostUuid, most)),
    putBack: async (hostUuid, tokens) => {
      const places = tokens.map(({ place }) => place);
      if (places.length === 0) return;
      await db
        .updateTable('orderTokens')
        .set({ state: 'exposed' })
        .where('hostUuid', '=', hostUuid)
        .where('id', 'in', places)
        .where(
          'token',
          'in',
          tokens.map(({ token }) => token.reveal()),
        )
        .execute();
    },
    add: (hostUuid, tokens) => store.transaction((tx) => add(tx, hostUuid, tokens)),
    listFresh: async (hostUuid, from) => {
      const rows = await db
        .selectFrom('orderTokens')
        .select('token')
        .where('hostUuid', '=', hostUuid)
        .where('state', '=', 'fresh')
        .where('id', '>=', from)
        .orderBy('id')
        .execute();
      return rows.map(({ token }) => new Secret(token));
    },
    dropBefore: async (hostUuid, place) => {
      await drop(hostUuid).where('id', '<', place).execute();
    },
    dropSeen: async (hostUuid) => {
      await drop(hostUuid).where('state', 'in', SEEN).execute();
    },
    counts: () => counts(db),
  };
}

async function take(tx: Queryable, hostUuid: string, most: number): Promise<PlacedToken[]> {
  const rows = await tx
    .selectFrom('orderTokens')
    .select(['id', 'token'])
    .where('hostUuid', '=', hostUuid)
    .where('state', 'in', USABLE)
    .orderBy('id')
    .execute();
  const [oldest, ...others] = rows;
  const newest = others.pop();
  const taken = [oldest, newest, ...others].flatMap((row) => row ?? []).slice(0, most);
  for (const { id } of taken)
    await tx.updateTable('orderTokens').set({ state: 'taken' }).where('id', '=', id).execute();
  return taken.map(({ id, token }) => ({ place: id, token: new Secret(token) }));
}

async function add(tx: Queryable, hostUuid: string, tokens: readonly string[]): Promise<number> {
  const { top } = await tx
    .selectFrom('orderTokens')
    .select((eb) => eb.fn.max('id').as('top'))
    .executeTakeFirstOrThrow();
  for (const token of tokens)
    await tx.insertInto('orderTokens').values({ hostUuid, token, state: 'fresh' }).execute();
  return (top ?? 0) + 1;
}

async function counts(db: Queryable): Promise<Map<string, { usable: number; fresh: number }>> {
  const rows = await db
    .selectFrom('orderTokens')
    .select(['hostUuid', 'state', ({ fn }) => fn.countAll<number>().as('count')])
    .groupBy(['hostUuid', 'state'])
    .execute();
  const all = new Map<string, { usable: number; fresh: number }>();
  for (const { hostUuid, state, count } of rows) {
    const one = all.get(hostUuid) ?? { usable: 0, fresh: 0 };
    if (state !== 'taken') one.usable += count;
    if (state === 'fresh') one.fresh += count;
    all.set(hostUuid, one);
  }
  return all;
}
