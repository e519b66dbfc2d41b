import { messageOf, type Logger } from '@fenceline/common';

const MAX_WAITING = 1_000;

/** Work of one host, one after the other; failures are logged, never thrown. */
export class Lane {
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(
    private readonly log: Logger,
    private readonly hostUuid: string,
  ) {}

  run(what: string, work: () => Promise<void>): void {
    if (this.#waiting >= MAX_WAITING) {
      this.log.error('too much waits for one host, some was dropped', { what });
      return;
    }
    this.#waiting += 1;
    this.#tail = this.#tail.then(work).then(
      () => void (this.#waiting -= 1),
      (thrown: unknown) => {
        this.#waiting -= 1;
        const facts = { what, hostUuid: this.hostUuid, error: messageOf(thrown) };
        this.log.error('tracking of a host failed', facts);
      },
    );
  }

  idle(): Promise<void> {
    return this.#tail;
  }
}
