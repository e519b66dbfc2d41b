import { messageOf, Secret, type Logger } from '@fenceline/common';
import type { LoginVault } from '../../hosts/hostLogins.js';
import type { OrderTokenState } from '../../store/fencingTables.js';
import type { Queryable, Store } from '../../store/store.js';

/** A token with its place in the order of deposits. */
export interface PlacedToken {
  place: number;
  token: Secret;
  /** As it is stored: a place may be taken anew. */
  sealed: string;
}

/**
 * The order tokens that hosts may hold, sealed in the store: with a sibling's fence key they kill, so
 * a copy of the database must not hand them out. One that can't be opened is as good as none.
 */
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

export interface TokenRepositoryDeps {
  store: Store;
  log: Logger;
  loginVault: Pick<LoginVault, 'seal' | 'open'>;
}

export function makeTokenRepository(deps: TokenRepositoryDeps): TokenRepository {
  const { store } = deps;
  const { db } = store;
  const drop = (hostUuid: string) => db.deleteFrom('orderTokens').where('hostUuid', '=', hostUuid);
  return {
    take: async (hostUuid, most) => {
      const rows = await store.transaction((tx) => take(tx, hostUuid, most));
      const placed = rows.map(async ({ id, sealed }): Promise<PlacedToken[]> => {
        const token = await opened(deps, hostUuid, sealed);
        return token === undefined ? [] : [{ place: id, token, sealed }];
      });
      return (await Promise.all(placed)).flat();
    },
    putBack: async (hostUuid, tokens) => {
      const places = tokens.map(({ place }) => place);
      if (places.length === 0) return;
      await db
        .updateTable('orderTokens')
        .set({ state: 'exposed' })
        .where('hostUuid', '=', hostUuid)
        .where('id', 'in', places)
        .where(
          'sealed',
          'in',
          tokens.map(({ sealed }) => sealed),
        )
        .execute();
    },
    add: async (hostUuid, tokens) => {
      const { seal } = deps.loginVault;
      const owner = ownerOf(hostUuid);
      const sealed = await Promise.all(tokens.map((token) => seal(owner, new Secret(token))));
      return store.transaction((tx) => add(tx, hostUuid, sealed));
    },
    listFresh: async (hostUuid, from) => {
      const rows = await db
        .selectFrom('orderTokens')
        .select(['id', 'sealed'])
        .where('hostUuid', '=', hostUuid)
        .where('state', '=', 'fresh')
        .where('id', '>=', from)
        .orderBy('id')
        .execute();
      const tokens = await Promise.all(rows.map(({ sealed }) => opened(deps, hostUuid, sealed)));
      // What can't be deposited must not be counted: it would never be filled up.
      const lost = rows.filter((_, i) => tokens[i] === undefined).map(({ id }) => id);
      if (lost.length > 0) await drop(hostUuid).where('id', 'in', lost).execute();
      return tokens.filter((token) => token !== undefined);
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

/** safety: no login that was sealed for the host passes for a token of it, and the reverse. */
function ownerOf(hostUuid: string): string {
  return `order-token ${hostUuid}`;
}

async function opened(
  { loginVault, log }: TokenRepositoryDeps,
  hostUuid: string,
  sealed: string,
): Promise<Secret | undefined> {
  try {
    return await loginVault.open(ownerOf(hostUuid), sealed);
  } catch (thrown) {
    log.warn('an order token is lost', { hostUuid, error: messageOf(thrown) });
    return undefined;
  }
}

async function take(
  tx: Queryable,
  hostUuid: string,
  most: number,
): Promise<{ id: number; sealed: string }[]> {
  const rows = await tx
    .selectFrom('orderTokens')
    .select(['id', 'sealed'])
    .where('hostUuid', '=', hostUuid)
    .where('state', 'in', USABLE)
    .orderBy('id')
    .execute();
  const [oldest, ...others] = rows;
  const newest = others.pop();
  const taken = [oldest, newest, ...others].flatMap((row) => row ?? []).slice(0, most);
  for (const { id } of taken)
    await tx.updateTable('orderTokens').set({ state: 'taken' }).where('id', '=', id).execute();
  return taken;
}

async function add(tx: Queryable, hostUuid: string, all: readonly string[]): Promise<number> {
  const { top } = await tx
    .selectFrom('orderTokens')
    .select((eb) => eb.fn.max('id').as('top'))
    .executeTakeFirstOrThrow();
  for (const sealed of all)
    await tx.insertInto('orderTokens').values({ hostUuid, sealed, state: 'fresh' }).execute();
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
