import { isoNow, type Clock } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { Actor } from '../api/services.js';
import type { Queryable, Store } from '../store/store.js';

/** Who wants to change what, and why. */
export interface AuditEntry {
  actor: Actor;
  /** Dotted: `host.remove`, `task.abandon`. */
  action: string;
  /** Uuid, name or path of what is changed. */
  target: string;
  reason?: string | undefined;
  /** Flat; never a secret. */
  facts?: Record<string, unknown>;
}

/** Appends one row; with a transaction, as part of it. */
export async function writeAudit(on: Queryable, clock: Clock, entry: AuditEntry): Promise<void> {
  await on
    .insertInto('audit')
    .values({
      at: isoNow(clock),
      actor: entry.actor.name,
      role: entry.actor.role,
      action: entry.action,
      target: entry.target,
      reason: entry.reason ?? null,
      factsJson: JSON.stringify(entry.facts ?? {}),
    })
    .execute();
}

export interface Audit {
  /**
   * Records the wish durably, then does the work: no change without a row. A failure leaves a
   * second row with its code. @throws what `work` throws.
   */
  change<T>(entry: AuditEntry, work: () => Promise<T>): Promise<T>;
}

export function makeAudit(store: Store, clock: Clock): Audit {
  return {
    async change(entry, work) {
      await writeAudit(store.db, clock, entry);
      try {
        return await work();
      } catch (error) {
        const failed = error instanceof DomainError ? error.code : 'INTERNAL';
        await writeAudit(store.db, clock, { ...entry, facts: { ...entry.facts, failed } });
        throw error;
      }
    },
  };
}
