import type { Clock, Random } from '@fenceline/common';

/** One life of a qemu as the disks know it: nothing of Fenceline's own names in it. */
export interface WriterId {
  readonly host: string;
  readonly bootId: string;
  readonly pid: number;
}

/** A write that reached a disk. */
export interface WriteRecord {
  readonly writer: WriterId;
  /** When the guest issued it, and when it reached the disk; monotonic milliseconds. */
  readonly issuedAtMs: number;
  readonly atMs: number;
}

/** A disk that a process held open for writing. */
export interface OpenRecord {
  readonly writer: WriterId;
  readonly fromMs: number;
  /** When the process was gone; undefined while it is not. */
  toMs: number | undefined;
}

/** All that ever happened to a disk, for the checker. */
export interface DiskHistory {
  readonly source: string;
  readonly writes: readonly WriteRecord[];
  readonly opens: readonly OpenRecord[];
}

interface Disk {
  source: string;
  writes: WriteRecord[];
  opens: OpenRecord[];
}

/** A write on its way; `lost` when the power of its host failed first. */
export interface PendingWrite {
  readonly done: boolean;
  /** Calls back when it is done; at once if it is. */
  whenDone(action: () => void): void;
}

interface Waiting {
  host: string;
  start: () => void;
}

/** Least time of a write, milliseconds. */
const WRITE_MS = 0.5;

/** Shared storage with file disks, as each host sees it: working, or hanging until it returns. */
export class SharedStorage {
  readonly #disks = new Map<string, Disk>();
  readonly #hung = new Set<string>();
  #waiting: Waiting[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
  ) {}

  createDisk(source: string): void {
    this.#disks.set(source, { source, writes: [], opens: [] });
  }

  has(source: string): boolean {
    return this.#disks.has(source);
  }

  history(source: string): DiskHistory {
    return this.#disk(source);
  }

  /** From now on nothing that this host asks of the storage is answered. */
  hang(host: string): void {
    this.#hung.add(host);
  }

  isHung(host: string): boolean {
    return this.#hung.has(host);
  }

  /** The storage answers this host again; what it has waited with comes now. */
  resume(host: string): void {
    this.#hung.delete(host);
    const mine = this.#waiting.filter((one) => one.host === host);
    this.#waiting = this.#waiting.filter((one) => one.host !== host);
    for (const { start } of mine) start();
  }

  /** The host lost its power, and with it every request that the storage has not seen. */
  forget(host: string): void {
    this.#waiting = this.#waiting.filter((one) => one.host !== host);
  }

  opened(source: string, writer: WriterId): OpenRecord {
    const record = { writer, fromMs: this.clock.monotonicMs(), toMs: undefined };
    this.#disk(source).opens.push(record);
    return record;
  }

  /** Writers of a disk that are open now. */
  openWriters(source: string): WriterId[] {
    const open = this.#disk(source).opens.filter(({ toMs }) => toMs === undefined);
    return open.map(({ writer }) => writer);
  }

  /** Begins a write; it lands when the storage answers, whoever is still alive then. */
  write(source: string, writer: WriterId): PendingWrite {
    const issuedAtMs = this.clock.monotonicMs();
    return this.#request(writer.host, () => {
      this.#disk(source).writes.push({ writer, issuedAtMs, atMs: this.clock.monotonicMs() });
    });
  }

  /** Settles when everything that this host had sent before is on the disk. */
  sync(host: string): PendingWrite {
    return this.#request(host, () => undefined);
  }

  #request(host: string, land: () => void): PendingWrite {
    let done = false;
    const listeners: (() => void)[] = [];
    const start = (): void => {
      const ms = Math.ceil(WRITE_MS * (1 + this.random.unit()) * 10) / 10;
      this.clock.after(ms, () => {
        land();
        done = true;
        for (const listener of listeners) listener();
      });
    };
    if (this.isHung(host)) this.#waiting.push({ host, start });
    else start();
    return {
      get done() {
        return done;
      },
      whenDone: (action) => {
        if (done) action();
        else listeners.push(action);
      },
    };
  }

  #disk(source: string): Disk {
    const disk = this.#disks.get(source);
    if (disk === undefined) throw new Error(`there is no disk ${source}`);
    return disk;
  }
}
