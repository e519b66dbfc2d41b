import { messageOf } from './failure.js';
import type { Logger } from './logger.js';

/** What was built top-down is released in reverse; each release once, whatever the others do. */
export class Releases {
  readonly #actions: { name: string; release: () => Promise<void> | void }[] = [];
  #done: Promise<void> | undefined;

  constructor(readonly log: Logger) {}

  add(name: string, release: () => Promise<void> | void): void {
    this.#actions.push({ name, release });
  }

  /** Runs all releases, last added first; a failing one is logged. Safe to call twice. */
  run(): Promise<void> {
    this.#done ??= this.#runAll();
    return this.#done;
  }

  async #runAll(): Promise<void> {
    for (const { name, release } of this.#actions.toReversed()) {
      try {
        await release();
      } catch (thrown) {
        this.log.error('release failed', { name, error: messageOf(thrown) });
      }
    }
  }
}
