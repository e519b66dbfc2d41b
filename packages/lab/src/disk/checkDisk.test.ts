import { describe, expect, test } from '@jest/globals';
import { checkDisk } from './checkDisk.js';
import {
  diskRecordAt,
  headSector,
  journalSectorOf,
  minimumImageBytes,
  writeDiskRecord,
  type DiskRecord,
} from './format.js';

/** A guest as guest/beacon.S is, one step per call. */
class Guest {
  private counter = 0;
  private firstCounter = 0;
  private boots = 0;
  private conflicts = 0;
  private foreignId = 0;
  private begun = false;

  constructor(
    readonly image: Uint8Array,
    readonly id: number,
  ) {
    const head = diskRecordAt(image, headSector);
    this.counter = head?.counter ?? 0;
    this.conflicts = head?.conflicts ?? 0;
    this.foreignId = head?.foreignId ?? 0;
    this.boots = (head?.boots ?? 0) + 1;
    this.firstCounter = this.counter + 1;
  }

  run(steps: number): this {
    for (let i = 0; i < steps; i++) this.step();
    return this;
  }

  step(): void {
    if (this.begun) this.look();
    const record = this.next();
    writeDiskRecord(this.image, journalSectorOf(record.counter), record);
    writeDiskRecord(this.image, headSector, record);
    this.begun = true;
  }

  /** What the next step writes; `counter` is taken. */
  next(): DiskRecord {
    const { id, boots, conflicts, foreignId, firstCounter } = this;
    return { id, counter: ++this.counter, boots, conflicts, foreignId, firstCounter };
  }

  private look(): void {
    const head = diskRecordAt(this.image, headSector);
    this.compare(head);
    this.counter = Math.max(this.counter, head?.counter ?? 0);
    this.compare(diskRecordAt(this.image, journalSectorOf(this.firstCounter)));
  }

  private compare(seen: DiskRecord | undefined): void {
    if (!seen || seen.id === this.id) return;
    this.conflicts++;
    this.foreignId = seen.id;
  }
}

const [a, b] = [0xaaaa0001, 0xbbbb0001];
const blank = () => new Uint8Array(minimumImageBytes);

describe('one writer', () => {
  test('a blank disk has no data', () => {
    expect(checkDisk(blank()).verdict).toBe('noData');
    expect(checkDisk(new Uint8Array(100)).verdict).toBe('noData');
  });

  test('one guest is one writer, also when the journal has wrapped', () => {
    const image = blank();
    new Guest(image, a).run(3_000);
    const check = checkDisk(image);
    expect(check).toMatchObject({ verdict: 'oneWriter', counter: 3_000, boots: 1, reasons: [] });
    expect(check.writers).toEqual([{ id: 'AAAA0001', firstCounter: 1, lastCounter: 3_000 }]);
  });

  test('one life after another is one writer', () => {
    const image = blank();
    new Guest(image, a).run(10);
    new Guest(image, b).run(10);
    new Guest(image, a + 1).run(10);
    expect(checkDisk(image)).toMatchObject({ verdict: 'oneWriter', counter: 30, boots: 3 });
  });

  test('a kill between journal and head is no second writer, before and after the next start', () => {
    const image = blank();
    const killed = new Guest(image, a).run(10).next();
    writeDiskRecord(image, journalSectorOf(killed.counter), killed);
    expect(checkDisk(image).verdict).toBe('oneWriter');
    new Guest(image, b).run(1);
    expect(checkDisk(image).verdict).toBe('oneWriter');
  });

  test('a kill after the very first journal write is one writer', () => {
    const image = blank();
    const killed = new Guest(image, a).next();
    writeDiskRecord(image, journalSectorOf(killed.counter), killed);
    expect(checkDisk(image).verdict).toBe('oneWriter');
  });
});

describe('two writers', () => {
  test('two guests in turn: ids A, B, A, and conflicts counted', () => {
    const image = blank();
    const [one, two] = [new Guest(image, a).run(10), new Guest(image, b)];
    for (let i = 0; i < 3; i++) [two, one].forEach((guest) => guest.step());
    const check = checkDisk(image);
    expect(check.verdict).toBe('twoWriters');
    expect(check.reasons.join(' ')).toMatch(/both were alive.*conflicts/);
  });

  test('it stays known for ever: conflicts are kept on the disk by the next lives', () => {
    const image = blank();
    const [one, two] = [new Guest(image, a).run(10), new Guest(image, b)];
    for (let i = 0; i < 3; i++) [two, one].forEach((guest) => guest.step());
    new Guest(image, b + 1).run(5_000);
    expect(checkDisk(image).verdict).toBe('twoWriters');
  });

  test('a late journal write of a killed guest, while the next one runs', () => {
    const image = blank();
    const late = new Guest(image, a).run(10).next();
    const two = new Guest(image, b).run(20);
    writeDiskRecord(image, journalSectorOf(late.counter), late);
    expect(checkDisk(image).reasons.join(' ')).toMatch(/late write/);
    two.run(2_000); // the journal's evidence is overwritten, the guest has counted it
    expect(checkDisk(image).verdict).toBe('twoWriters');
  });

  test('a late head write of a killed guest, after the next one has ended, too', () => {
    const image = blank();
    const killed = new Guest(image, a).run(10).next();
    writeDiskRecord(image, journalSectorOf(killed.counter), killed);
    new Guest(image, b).run(20);
    writeDiskRecord(image, headSector, killed);
    expect(checkDisk(image).reasons.join(' ')).toMatch(/The head says step 11/);
  });
});
