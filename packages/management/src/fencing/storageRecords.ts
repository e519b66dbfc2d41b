import type { Clock, MonotonicMs, StorageRecordFacts } from '@fenceline/common';
import type { Run } from '../vms/runs/run.js';
import type { Vm } from '../vms/vm.js';

/** A host's last record on one storage, as it was read now. */
export type StorageRecord = Omit<StorageRecordFacts, 'unchangedForMs'>;

/** What hosts leave on shared storage about themselves (their self-fencers' heartbeats). */
export interface StorageRecords {
  /**
   * Reads, now and past every cache, the last record of the run's host on each storage, through a
   * host that has access, together with another host's record as control. Never a guess: what
   * can't be read is left out. Ends within its own limit and never throws.
   */
  read(run: Run, vm: Vm): Promise<readonly StorageRecord[]>;
}

/** As long as no self-fencer writes any. */
export const noStorageRecords: StorageRecords = { read: async () => [] };

interface Seen {
  mark: string;
  sinceMs: MonotonicMs;
}

/**
 * How long each record has stood still, by this server's own monotonic clock.
 * safety: kept in memory alone: a server that was away did not watch, so it counts anew.
 */
export class UnchangedRecords {
  readonly #seen = new Map<string, Seen>();

  constructor(private readonly clock: Pick<Clock, 'monotonicMs'>) {}

  /** The records with the time since this life of the server first read each one's sequence. */
  note(hostUuid: string, records: readonly StorageRecord[]): StorageRecordFacts[] {
    const nowMs = this.clock.monotonicMs();
    return records.map((record) => {
      const key = `${hostUuid} ${record.storage}`;
      const mark = `${record.bootId} ${record.sequence}`;
      const before = this.#seen.get(key);
      const seen = before?.mark === mark ? before : { mark, sinceMs: nowMs };
      this.#seen.set(key, seen);
      return { ...record, unchangedForMs: Math.floor(nowMs - seen.sinceMs) };
    });
  }
}
