import type { Kysely, Transaction } from 'kysely';
import type { Database } from './schema.js';

/** Either the database or a transaction of it: repositories take this, callers decide. */
export type Queryable = Kysely<Database> | Transaction<Database>;

/**
 * The durable memory of the server. What a promise of a write resolved is on disk
 * (`synchronous=FULL`): "durable before act" stands on it.
 */
export interface Store {
  readonly db: Kysely<Database>;
  /** Runs `work` in one transaction: all of it or, if it throws, none of it. */
  transaction<T>(work: (tx: Transaction<Database>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** The database can't be used, and what to do about it. */
export class StoreError extends Error {
  constructor(
    readonly code: 'CORRUPT' | 'FULL' | 'LOCKED' | 'UNSAFE' | 'UNREADABLE',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'StoreError';
  }
}

/** Reads a JSON column. */
export function fromJson<T>(text: string): T {
  return JSON.parse(text) as T;
}
