/** Items that wait to be sent; whoever sends takes them in order. */
export interface ItemQueue<T> {
  /** Adds an item. If too many wait, the queue fails: the receiver is too slow to be useful. */
  push(item: T): void;
  /** Ends it: what waits is still taken. */
  end(): void;
  items(): AsyncIterable<T>;
}

type State = { kind: 'open' } | { kind: 'ended' } | { kind: 'failed'; why: Error };

/** @param max bound on how many items may wait. */
export function makeItemQueue<T>(max: number): ItemQueue<T> {
  const waiting: T[] = [];
  let state: State = { kind: 'open' };
  let wake: (() => void) | undefined;
  const change = (next: State): void => {
    state = next;
    wake?.();
    wake = undefined;
  };
  const changed = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  async function* items(): AsyncGenerator<T> {
    for (;;) {
      if (state.kind === 'failed') throw state.why;
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else if (state.kind === 'ended') return;
      else await changed();
    }
  }
  return {
    push(item) {
      if (state.kind !== 'open') return;
      const full = waiting.length >= max;
      if (!full) waiting.push(item);
      change(
        full ? { kind: 'failed', why: new Error(`more than ${max} items wait to be sent`) } : state,
      );
    },
    end() {
      if (state.kind === 'open') change({ kind: 'ended' });
    },
    items,
  };
}
