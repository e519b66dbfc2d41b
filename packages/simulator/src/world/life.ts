import { asError, type Clock } from '@fenceline/common';

/**
 * One life of a program. Everything that the world does for it goes through here: while it is
 * frozen, what the world has for it waits; once it is dead, nothing reaches it any more and its
 * pending calls never settle, so that no `finally` runs, as with SIGKILL.
 */
export class Life {
  #state: 'running' | 'frozen' | 'dead' = 'running';
  #waiting: (() => void)[] = [];
  readonly #onEnd = new Set<() => void>();

  constructor(readonly name: string) {}

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  /** Lets the world act on the program: now, after the thaw, or never. */
  run(action: () => void): void {
    if (this.#state === 'running') action();
    else if (this.#state === 'frozen') this.#waiting.push(action);
  }

  freeze(): void {
    if (this.#state === 'running') this.#state = 'frozen';
  }

  /** What came during the freeze comes now, in its order. */
  thaw(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'running';
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const action of waiting) this.run(action);
  }

  /** SIGKILL. */
  end(): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.#waiting = [];
    const listeners = [...this.#onEnd];
    this.#onEnd.clear();
    for (const listener of listeners) listener();
  }

  /** Calls `listener` in the moment of death (the kernel closes the program's sockets); returns how to stop. */
  onEnd(listener: () => void): () => void {
    if (this.isDead) listener();
    else this.#onEnd.add(listener);
    return () => this.#onEnd.delete(listener);
  }

  /** The result of work of the world, as this program gets it. */
  answer<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(
        (value) => this.run(() => resolve(value)),
        (error: unknown) => this.run(() => reject(asError(error))),
      );
    });
  }

  /** The items of a stream of the world, as this program gets them. */
  async *items<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = source[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.answer(iterator.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      if (!this.isDead) await iterator.return?.();
    }
  }
}

/** The same port for one life: a dead one's calls have no effect and never settle. */
export function bound<T extends object>(life: Life, port: T): T {
  return new Proxy(port, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (value instanceof Promise) return life.answer(value);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (life.isDead) return new Promise(() => undefined);
        const result: unknown = Reflect.apply(value, target, args);
        return result instanceof Promise ? life.answer(result) : result;
      };
    },
  });
}

/** Time as one life sees it: its timers wait while it is frozen and die with it. */
export function clockOf(life: Life, clock: Clock): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    after: (ms, action) => {
      let cancelled = false;
      const timer = clock.after(ms, () =>
        life.run(() => {
          if (!cancelled) action();
        }),
      );
      return {
        cancel: () => {
          cancelled = true;
          timer.cancel();
        },
      };
    },
  };
}
