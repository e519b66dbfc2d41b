import SqliteDatabase from 'better-sqlite3';
import {
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
} from 'kysely';
import type { Store } from '../store.js';
import { openLocked } from './sqlite.js';

/** A store whose server may die in the middle of anything. */
export interface LosableStore extends Store {
  /**
   * As SIGKILL leaves it: the open transaction is rolled back, no call settles any more, and none
   * of the calls that still come has any effect.
   */
  lose(): void;
}

/** A database in memory that outlives its servers, for simulated worlds. */
export interface MemoryDatabase {
  /** The store of the next life of a server; the one before must be closed or lost. */
  open(): Promise<LosableStore>;
  /** A backup as of now. */
  backup(): Uint8Array;
  /** The next life finds what the backup holds. */
  restore(backup: Uint8Array): void;
}

export function makeMemoryDatabase(): MemoryDatabase {
  let raw = new SqliteDatabase(':memory:');
  return {
    backup: () => raw.serialize(),
    restore: (backup) => void (raw = new SqliteDatabase(Buffer.from(backup))),
    open: async () => {
      const database = raw;
      const life = { isLost: false };
      const store = await openLocked(database, () => undefined, losableDialect(database, life));
      return {
        ...store,
        lose: () => {
          life.isLost = true;
          if (database.inTransaction) database.exec('ROLLBACK');
        },
      };
    },
  };
}

interface StoreLife {
  isLost: boolean;
}

/** Kysely's own SQLite, each call of it bound to one life of a server. */
function losableDialect(raw: SqliteDatabase.Database, life: StoreLife): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createDriver: () => losableDriver(new SqliteDriver({ database: raw }), life),
  };
}

function losableDriver(inner: SqliteDriver, life: StoreLife): Driver {
  return {
    init: () => inner.init(),
    acquireConnection: async () => losableConnection(await inner.acquireConnection(), life),
    beginTransaction: (connection) => inner.beginTransaction(connection),
    commitTransaction: (connection) => inner.commitTransaction(connection),
    rollbackTransaction: (connection) => inner.rollbackTransaction(connection),
    releaseConnection: () => inner.releaseConnection(),
    // The database belongs to all lives.
    destroy: async () => undefined,
  };
}

function losableConnection(inner: DatabaseConnection, life: StoreLife): DatabaseConnection {
  return {
    executeQuery: async (query) => {
      await untilLost(life);
      const result = await inner.executeQuery<never>(query);
      await untilLost(life);
      return result;
    },
    streamQuery: (query, chunkSize) => inner.streamQuery(query, chunkSize),
  };
}

/** Never settles for the dead. */
function untilLost(life: StoreLife): Promise<void> {
  return life.isLost ? new Promise(() => undefined) : Promise.resolve();
}
