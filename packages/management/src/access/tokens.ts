import { createHash, timingSafeEqual } from 'node:crypto';
import { isoNow, Secret, type Caller, type Clock, type Random } from '@fenceline/common';
import { DomainError, type ApiRole } from '@fenceline/protocol';
import type { TokensTable } from '../store/schema.js';
import type { Store } from '../store/store.js';

/** Marks a token as one of ours, for people and for programs that look for leaked secrets. */
const PREFIX = 'fenceline_';
const TOKEN_BYTES = 32;
const SHAPE = /^fenceline_[0-9a-f]{64}$/;

export interface NewToken {
  row: TokensTable;
  /** Shown once; only its SHA-256 is stored. */
  token: Secret;
}

export interface Tokens {
  /** Whom a token belongs to; undefined: nobody. */
  find(token: string): Promise<Caller | undefined>;
  /** @throws DomainError CONFLICT if the name is taken. */
  create(wish: { name: string; role: ApiRole }): Promise<NewToken>;
  /** Worthless from now on. @throws DomainError NOT_FOUND; REFUSED for the last admin token. */
  revoke(uuid: string): Promise<void>;
  /**
   * An admin token if there is none yet, or if `always`; undefined if one exists already.
   * For whoever starts the server, never for the API.
   */
  ensureAdmin(always: boolean): Promise<Secret | undefined>;
}

export interface TokensDeps {
  store: Store;
  clock: Clock;
  random: Random;
}

export function makeTokens(deps: TokensDeps): Tokens {
  const { store } = deps;
  return {
    async find(token) {
      if (!SHAPE.test(token)) return undefined;
      const hash = sha256(token);
      // 256 random bits behind a hash: how long the index lookup takes tells nothing usable.
      const row = await store.db
        .selectFrom('tokens')
        .selectAll()
        .where('tokenSha256', '=', hash)
        .executeTakeFirst();
      if (row === undefined || !sameHash(row.tokenSha256, hash)) return undefined;
      return { role: row.role, name: row.name };
    },
    create: (wish) => create(deps, wish),
    async revoke(uuid) {
      await store.transaction(async (tx) => {
        const rows = await tx.selectFrom('tokens').selectAll().execute();
        const row = rows.find((each) => each.uuid === uuid);
        if (row === undefined) throw new DomainError('NOT_FOUND', `there is no token ${uuid}`);
        const admins = rows.filter(({ role }) => role === 'admin');
        if (row.role === 'admin' && admins.length === 1)
          throw new DomainError(
            'REFUSED',
            `${row.name} is the last admin token; create another one first`,
          );
        await tx.deleteFrom('tokens').where('uuid', '=', uuid).execute();
      });
    },
    async ensureAdmin(always) {
      const rows = await store.db.selectFrom('tokens').select(['name', 'role']).execute();
      if (!always && rows.some(({ role }) => role === 'admin')) return undefined;
      const names = new Set(rows.map(({ name }) => name));
      let name = 'admin';
      for (let i = 2; names.has(name); i += 1) name = `admin-${i}`;
      return (await create(deps, { name, role: 'admin' })).token;
    },
  };
}

async function create(
  { store, clock, random }: TokensDeps,
  { name, role }: { name: string; role: ApiRole },
): Promise<NewToken> {
  const token = new Secret(`${PREFIX}${random.hex(TOKEN_BYTES)}`);
  const row: TokensTable = {
    uuid: random.uuid(),
    name,
    role,
    tokenSha256: sha256(token.reveal()),
    createdAt: isoNow(clock),
  };
  await store.transaction(async (tx) => {
    const taken = await tx
      .selectFrom('tokens')
      .select('uuid')
      .where('name', '=', name)
      .executeTakeFirst();
    if (taken !== undefined)
      throw new DomainError('CONFLICT', `a token named ${name} exists already`);
    await tx.insertInto('tokens').values(row).execute();
  });
  return { row, token };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function sameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, 'hex'), Buffer.from(b, 'hex'));
}
