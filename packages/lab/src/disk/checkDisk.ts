import {
  diskRecordAt,
  headSector,
  journalLength,
  journalSector,
  type DiskRecord,
} from './format.js';

/** One guest life as the disk remembers it. */
export interface Writer {
  /** In hex, as on the guest's serial line. */
  readonly id: string;
  readonly firstCounter: number;
  readonly lastCounter: number;
}

export interface DiskCheck {
  readonly verdict: 'oneWriter' | 'twoWriters' | 'noData';
  /** Distinct lives seen in the journal (its last 56 s), oldest first. */
  readonly writers: readonly Writer[];
  /** The newest counter; 0 without data. */
  readonly counter: number;
  /** Boots of a guest from this disk so far. */
  readonly boots: number;
  /** Why two writers, one sentence each; empty for any other verdict. */
  readonly reasons: readonly string[];
}

/**
 * Decides from the bytes of a raw image how many guests wrote to it at the same time. One life
 * after another is one writer. Two are proven by any of these:
 * - ids A, B, A in the order of counters;
 * - a conflict that a guest counted itself (kept on the disk for ever);
 * - a stamp of another life inside the span that a life wrote: a late write of a killed qemu;
 * - a head that does not match the journal: the same, while nobody runs.
 */
export function checkDisk(image: Uint8Array): DiskCheck {
  const head = diskRecordAt(image, headSector);
  const journal = readJournal(image);
  if (!head && journal.length === 0) {
    return { verdict: 'noData', writers: [], counter: 0, boots: 0, reasons: [] };
  }
  const records = head ? [...journal, head] : journal;
  const reasons = [
    ...returningWriters(journal),
    ...countedConflicts(records),
    ...intruders(journal),
    ...headProblems(head, journal),
  ];
  return {
    verdict: reasons.length > 0 ? 'twoWriters' : 'oneWriter',
    writers: writersOf(journal),
    counter: Math.max(...records.map((record) => record.counter)),
    boots: Math.max(...records.map((record) => record.boots)),
    reasons,
  };
}

/** The journal's records in the order of their counters, without those of an earlier round. */
function readJournal(image: Uint8Array): DiskRecord[] {
  const all: DiskRecord[] = [];
  for (let i = 0; i < journalLength; i++) {
    const record = diskRecordAt(image, journalSector + i);
    if (record) all.push(record);
  }
  return all.sort((a, b) => a.counter - b.counter);
}

function returningWriters(journal: readonly DiskRecord[]): string[] {
  const left = new Set<number>();
  let previous: DiskRecord | undefined;
  for (const record of journal) {
    if (previous && previous.id !== record.id) {
      left.add(previous.id);
      if (left.has(record.id)) {
        return [
          `${hex(record.id)} wrote step ${record.counter} after ${hex(previous.id)} wrote step ` +
            `${previous.counter}, and had written before it: both were alive.`,
        ];
      }
    }
    previous = record;
  }
  return [];
}

function countedConflicts(records: readonly DiskRecord[]): string[] {
  const worst = records.reduce((a, b) => (b.conflicts > a.conflicts ? b : a));
  if (worst.conflicts === 0) return [];
  return [
    `${hex(worst.id)} counted ${worst.conflicts} conflicts, last with ${hex(worst.foreignId)}.`,
  ];
}

/** Every counter from a life's first to its last must be its own. */
function intruders(journal: readonly DiskRecord[]): string[] {
  const last = new Map<number, DiskRecord>();
  for (const record of journal) last.set(record.id, record);
  for (const owner of last.values()) {
    const intruder = journal.find(
      (record) =>
        record.id !== owner.id &&
        record.counter >= owner.firstCounter &&
        record.counter <= owner.counter,
    );
    if (intruder) {
      return [
        `Step ${intruder.counter} is stamped by ${hex(intruder.id)}, but ${hex(owner.id)} had ` +
          `begun at step ${owner.firstCounter}: a late write of another life.`,
      ];
    }
  }
  return [];
}

/** The journal is written before the head: the head is the newest entry, or one step behind. */
function headProblems(head: DiskRecord | undefined, journal: readonly DiskRecord[]): string[] {
  const newest = journal.at(-1);
  if (!head || !newest) return []; // killed between the very first two writes
  const same = journal.find((record) => record.counter === head.counter);
  const behind = newest.counter - head.counter;
  if (same?.id === head.id && (behind === 0 || behind === 1)) return [];
  return [
    `The head says step ${head.counter} of ${hex(head.id)}, the journal step ${newest.counter} ` +
      `of ${hex(newest.id)}: a late write of another life.`,
  ];
}

function writersOf(journal: readonly DiskRecord[]): Writer[] {
  const writers = new Map<number, Writer>();
  for (const { id, counter, firstCounter } of journal) {
    writers.set(id, { id: hex(id), firstCounter, lastCounter: counter });
  }
  return [...writers.values()];
}

function hex(id: number): string {
  return id.toString(16).toUpperCase().padStart(8, '0');
}
