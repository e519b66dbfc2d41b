import { messageOf } from './failure.js';
import type { Logger } from './logger.js';

interface Release {
  name: string;
  release: () => Promise<void> | void;
}

/** What was built top-down is released in reverse; each release once, whatever the others do. */
export class Releases {
  readonly #actions: Release[] = [];
  #done: Promise<void> | undefined;

  constructor(readonly log: Logger) {}

  /** What is added after `run` began (a stop in the middle of a start) is released at once. */
  add(name: string, release: () => Promise<void> | void): void {
    this.#actions.push({ name, release });
    if (this.#done !== undefined) this.#done = this.#done.then(() => this.#runAll());
  }

  /** Runs all releases, last added first; a failing one is logged. Safe to call twice. */
  run(): Promise<void> {
    this.#done ??= this.#runAll();
    return this.#done;
  }

  async #runAll(): Promise<void> {
    for (let next = this.#actions.pop(); next !== undefined; next = this.#actions.pop()) {
      try {
        await next.release();
      } catch (thrown) {
        this.log.error('release failed', { name: next.name, error: messageOf(thrown) });
      }
    }
  }
}
