import { asError } from '@fenceline/common';

/** Items that came over a stream, for one reader. */
export interface Items {
  push(item: unknown): void;
  end(): void;
  /** The first end or failure counts. */
  fail(error: Error): void;
  /** @param stopped is called when the reader has had enough. */
  read(stopped: () => void): AsyncGenerator;
}

export function makeItems(): Items {
  const items: unknown[] = [];
  let end: { error?: Error } | undefined;
  let wake: (() => void) | undefined;
  return {
    push: (item) => {
      if (end !== undefined) return;
      items.push(item);
      wake?.();
    },
    end: () => {
      end ??= {};
      wake?.();
    },
    fail: (error) => {
      end ??= { error: asError(error) };
      wake?.();
    },
    async *read(stopped) {
      try {
        for (;;) {
          while (items.length > 0) yield items.shift();
          if (end?.error !== undefined) throw end.error;
          if (end !== undefined) return;
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        stopped();
      }
    },
  };
}
