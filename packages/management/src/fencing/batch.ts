/** Collects calls that share a key into batches: what arrives while one runs goes with the next. */
export interface Batcher<Item, Result> {
  /** Resolves with the item's own result; a batch that throws rejects all its items. */
  add(key: string, item: Item): Promise<Result>;
}

interface Waiting<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * @param maxItems bound on one batch; `work` gets 1 to `maxItems` items and answers in their order.
 */
export function makeBatcher<Item, Result>(
  maxItems: number,
  work: (key: string, items: readonly Item[]) => Promise<Result[]>,
): Batcher<Item, Result> {
  const waiting = new Map<string, Waiting<Item, Result>[]>();

  const settle = async (key: string, batch: readonly Waiting<Item, Result>[]): Promise<void> => {
    const items = batch.map(({ item }) => item);
    const results = await work(key, items);
    for (const [i, { resolve, reject }] of batch.entries()) {
      const result = results[i];
      if (result === undefined) reject(new Error('a batch lost one of its results'));
      else resolve(result);
    }
  };

  const drain = async (key: string): Promise<void> => {
    // One turn of the microtask queue: callers of one decision arrive together.
    await Promise.resolve();
    for (;;) {
      const batch = waiting.get(key)?.splice(0, maxItems) ?? [];
      if (batch.length === 0) break;
      await settle(key, batch).catch((error: unknown) => {
        for (const { reject } of batch) reject(error);
      });
    }
    waiting.delete(key);
  };

  return {
    add: (key, item) =>
      new Promise((resolve, reject) => {
        const queue = waiting.get(key);
        if (queue !== undefined) {
          queue.push({ item, resolve, reject });
          return;
        }
        waiting.set(key, [{ item, resolve, reject }]);
        void drain(key);
      }),
  };
}
