import type { Clock, Random } from '@fenceline/common';
import type { OpenRecord, PendingWrite, SharedStorage, WriterId } from './storage.js';

/** How a guest writes, milliseconds between two writes, at least; chance adds a half. */
const WRITE_EVERY_MS = 200;

/** What a qemu was started with. */
export interface QemuArguments {
  vmUuid: string;
  name: string;
  /** From its fw_cfg entry; null: it bears no mark. */
  epoch: number | null;
  /** Writable disks. */
  disks: readonly string[];
}

export interface QemuWorld {
  clock: Clock;
  random: Random;
  storage: SharedStorage;
  /** True while the host's processes do not run. */
  isFrozen: () => boolean;
  /** The process table forgets it. */
  gone: (qemu: Qemu) => void;
}

/**
 * A qemu and its guest, which stamps every disk again and again. Killed with a write that hangs in
 * the storage it stays: its leader a zombie, a worker in D. When the storage returns, that write
 * lands, and only then is the process gone.
 */
export class Qemu {
  /** A fatal signal came; it ends as soon as its writes have ended. */
  #killed = false;
  #gone = false;
  /** It missed its turn while the host was frozen. */
  #late = false;
  readonly #writing = new Map<string, PendingWrite>();
  readonly #opens: OpenRecord[];

  constructor(
    readonly args: QemuArguments,
    readonly id: WriterId & { startTime: number },
    private readonly world: QemuWorld,
  ) {
    this.#opens = args.disks.map((source) => world.storage.opened(source, id));
    this.#tick();
  }

  /** Its leader has ended and a worker of it has not. */
  get isDying(): boolean {
    return this.#killed && !this.#gone;
  }

  get isGone(): boolean {
    return this.#gone;
  }

  /** SIGKILL. */
  kill(): void {
    this.#killed = true;
    this.#endIfPossible();
  }

  /** The host lost its power: gone, and with it what the storage has not seen. */
  loseHost(): void {
    this.#killed = true;
    this.#writing.clear();
    this.#endIfPossible();
  }

  /** A thawed guest writes at once, before anything can react. */
  thaw(): void {
    if (this.#late) this.#tick();
  }

  #tick(): void {
    if (this.#killed) return;
    this.#late = this.world.isFrozen();
    if (this.#late) return;
    for (const source of this.args.disks) this.#write(source);
    const everyMs = Math.round(WRITE_EVERY_MS * (1 + this.world.random.unit() / 2));
    this.world.clock.after(everyMs, () => this.#tick());
  }

  #write(source: string): void {
    // One write at a time and disk: the guest waits for the one before.
    if (this.#writing.has(source)) return;
    const write = this.world.storage.write(source, this.id);
    this.#writing.set(source, write);
    write.whenDone(() => {
      if (this.#writing.get(source) !== write) return;
      this.#writing.delete(source);
      this.#endIfPossible();
    });
  }

  #endIfPossible(): void {
    if (!this.#killed || this.#gone || this.#writing.size > 0) return;
    this.#gone = true;
    for (const open of this.#opens) open.toMs = this.world.clock.monotonicMs();
    this.world.gone(this);
  }
}
