import { DomainError } from '@fenceline/protocol';

/** Work that shares a key runs one after the other; different keys run side by side. */
export interface KeyedQueue {
  /**
   * Runs `work` when everything queued before it under `key` has settled. It has no limit of its
   * own: a work that may hang brings one, and none may queue under its own key and wait for it.
   * @throws DomainError REFUSED if the key's queue is full; else what `work` throws.
   */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** How many wait or run under `key`. */
  depth(key: string): number;
  /** Settles when nothing is queued under any key. */
  idle(): Promise<void>;
}

/** @param maxDepth bound on how many may wait and run under one key. */
export function makeKeyedQueue(maxDepth: number): KeyedQueue {
  const tails = new Map<string, { tail: Promise<void>; depth: number }>();
  const run = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const entry = tails.get(key) ?? { tail: Promise.resolve(), depth: 0 };
    if (entry.depth >= maxDepth)
      throw new DomainError('REFUSED', `the queue of ${key} is full (${maxDepth})`);
    const result = entry.tail.then(work);
    entry.tail = result.then(
      () => undefined,
      () => undefined,
    );
    entry.depth += 1;
    tails.set(key, entry);
    try {
      return await result;
    } finally {
      entry.depth -= 1;
      if (entry.depth === 0) tails.delete(key);
    }
  };
  return {
    run,
    depth: (key) => tails.get(key)?.depth ?? 0,
    idle: async () => {
      while (tails.size > 0) await Promise.all([...tails.values()].map(({ tail }) => tail));
    },
  };
}
