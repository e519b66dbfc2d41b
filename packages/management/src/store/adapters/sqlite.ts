import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { asError, errorCode, messageOf } from '@fenceline/common';
import SqliteDatabase from 'better-sqlite3';
import { Kysely, SqliteDialect, SqliteDriver, type DatabaseConnection, type Dialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { migrations } from '../migrations.js';
import type { Database } from '../schema.js';
import { StoreError, type Store } from '../store.js';

type Raw = SqliteDatabase.Database;

/**
 * Opens (and migrates) the embedded database in `stateDir`. Only one server may have it open.
 * @throws StoreError LOCKED if another server has it; UNSAFE if SQLite doesn't give us WAL and
 *   synchronous=FULL; CORRUPT, FULL, UNREADABLE with what to do.
 */
export async function openSqliteStore(stateDir: string): Promise<Store> {
  const file = join(stateDir, 'fenceline.db');
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const lock = takeLock(join(stateDir, 'server.lock'));
    try {
      return await openLocked(new SqliteDatabase(file), () => lock.close());
    } catch (error) {
      lock.close();
      throw error;
    }
  } catch (error) {
    throw explain(error, stateDir);
  }
}

/** A database that lives in memory, for tests and the simulator. */
export async function openMemoryStore(): Promise<Store> {
  return openLocked(new SqliteDatabase(':memory:'), () => undefined);
}

/**
 * safety: two servers on one database would each believe that they alone grant runs. An exclusive
 * transaction on a file of its own is held for the life of this process and ends with it, however
 * it ends.
 */
function takeLock(path: string): Raw {
  const lock = new SqliteDatabase(path, { timeout: 0 });
  try {
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

/**
 * A full or failing disk makes SQLite end the transaction by itself; Kysely's rollback would then
 * fail too, and its error would hide what happened.
 */
class HonestDriver extends SqliteDriver {
  constructor(readonly raw: Raw) {
    super({ database: raw });
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.raw.inTransaction) await super.rollbackTransaction(connection);
  }
}

function honestDialect(raw: Raw): Dialect {
  const dialect = new SqliteDialect({ database: raw });
  dialect.createDriver = () => new HonestDriver(raw);
  return dialect;
}

/** @param dialect how Kysely works on this database; by default directly. */
export async function openLocked(
  raw: Raw,
  releaseLock: () => void,
  dialect: Dialect = honestDialect(raw),
): Promise<Store> {
  raw.pragma('journal_mode = WAL');
  raw.pragma('synchronous = FULL');
  raw.pragma('foreign_keys = ON');
  checkSafety(raw);
  const db = new Kysely<Database>({ dialect });
  await migrate(db);
  return {
    db,
    transaction: (work) => db.transaction().execute(work),
    close: async () => {
      await db.destroy();
      releaseLock();
    },
  };
}

/** safety: asked back, since a pragma that SQLite doesn't honour fails silently. */
function checkSafety(raw: Raw): void {
  const journal = String(raw.pragma('journal_mode', { simple: true }));
  const synchronous = Number(raw.pragma('synchronous', { simple: true }));
  if ((journal !== 'wal' && journal !== 'memory') || synchronous !== 2)
    throw new StoreError(
      'UNSAFE',
      `SQLite runs with journal_mode=${journal}, synchronous=${synchronous}; ` +
        'wal and 2 (FULL) are needed. Put the state directory on a local file system.',
    );
}

async function migrate(db: Kysely<Database>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw asError(error);
}

function explain(error: unknown, stateDir: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = errorCode(error) ?? '';
  const options = { cause: error };
  if (code.startsWith('SQLITE_BUSY'))
    return new StoreError(
      'LOCKED',
      `another server uses the database in ${stateDir}; stop it, or give this one its own stateDir`,
      options,
    );
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT'))
    return new StoreError(
      'CORRUPT',
      `the database in ${stateDir} is damaged; restore a backup into it`,
      options,
    );
  if (code === 'SQLITE_FULL' || code === 'ENOSPC')
    return new StoreError(
      'FULL',
      `no space left in ${stateDir}; free some and start again`,
      options,
    );
  return new StoreError(
    'UNREADABLE',
    `can't open the database in ${stateDir} (${messageOf(error)}); check its path and permissions`,
    options,
  );
}
