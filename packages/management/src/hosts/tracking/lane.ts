import { messageOf, type Clock, type Logger, type Timer } from '@fenceline/common';

const MAX_WAITING = 1_000;
/** Between two tries of work that must not be lost, ms. */
const AGAIN_MS = 1_000;

/** Work of one host, one after the other; failures are logged, never thrown. */
export class Lane {
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  #stopped = false;
  readonly #again = new Set<Timer>();

  constructor(
    private readonly deps: { clock: Clock; log: Logger },
    private readonly hostUuid: string,
  ) {}

  /**
   * @param still work that failed is tried again each second while this holds: what the database
   * could not take, because its disk was full, is written once it can be.
   */
  run(what: string, work: () => Promise<void>, still: () => boolean = () => false): void {
    if (this.#waiting >= MAX_WAITING) {
      this.deps.log.error('too much waits for one host, some was dropped', { what });
      return;
    }
    this.#waiting += 1;
    this.#tail = this.#tail.then(work).then(
      () => void (this.#waiting -= 1),
      (thrown: unknown) => {
        this.#waiting -= 1;
        const facts = { what, hostUuid: this.hostUuid, error: messageOf(thrown) };
        this.deps.log.error('tracking of a host failed', facts);
        if (this.#stopped || !still()) return;
        const timer = this.deps.clock.after(AGAIN_MS, () => {
          this.#again.delete(timer);
          if (still()) this.run(what, work, still);
        });
        this.#again.add(timer);
      },
    );
  }

  /** Nothing is tried again; settles when the last work is over. */
  stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#again) timer.cancel();
    return this.#tail;
  }
}
