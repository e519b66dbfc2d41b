/** Where the guest (guest/beacon.S) keeps what on its raw disk; numbers are sectors of 512 bytes. */
export const sectorBytes = 512;
export const headSector = 1;
export const journalSector = 64;
export const journalLength = 1024;
/** "FLAB" */
const magic = 0x42414c46;

/** One stamp of the guest. */
export interface DiskRecord {
  /** Random for each boot of the guest: two ids are two lives. */
  readonly id: number;
  /** Grows by one per write, over all boots. */
  readonly counter: number;
  readonly boots: number;
  /** How often a guest has met another one's stamp where its own should have been. */
  readonly conflicts: number;
  /** Whom it met last; 0 for nobody. */
  readonly foreignId: number;
  /** The counter of this boot's first write. */
  readonly firstCounter: number;
}

/** Reads the record in a sector; undefined if there is none. */
export function diskRecordAt(image: Uint8Array, sector: number): DiskRecord | undefined {
  const offset = sector * sectorBytes;
  if (image.byteLength < offset + sectorBytes) return undefined;
  const view = new DataView(image.buffer, image.byteOffset + offset, sectorBytes);
  const at = (place: number) => view.getUint32(place, true);
  if (at(0) !== magic) return undefined;
  return {
    id: at(4),
    counter: at(8),
    boots: at(12),
    conflicts: at(16),
    foreignId: at(20),
    firstCounter: at(28),
  };
}

/** Writes a record as the guest does. */
export function writeDiskRecord(image: Uint8Array, sector: number, record: DiskRecord): void {
  const offset = sector * sectorBytes;
  const view = new DataView(image.buffer, image.byteOffset + offset, sectorBytes);
  const set = (place: number, value: number) => view.setUint32(place, value, true);
  set(0, magic);
  set(4, record.id);
  set(8, record.counter);
  set(12, record.boots);
  set(16, record.conflicts);
  set(20, record.foreignId);
  set(28, record.firstCounter);
}

/** The journal's sector for a counter. */
export function journalSectorOf(counter: number): number {
  return journalSector + (counter % journalLength);
}

/** Bytes an image needs at least. */
export const minimumImageBytes = (journalSector + journalLength) * sectorBytes;
