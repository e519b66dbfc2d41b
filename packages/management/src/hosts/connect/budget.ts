import { withLimit, type Clock } from '@fenceline/common';

/** Time that several pieces of work share; what runs outside of `run` costs nothing (C7). */
export interface Budget {
  leftMs(): number;
  /** @throws TimeoutError when the budget is spent; else what `work` throws. */
  run<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

export function makeBudget(clock: Clock, totalMs: number, signal: AbortSignal): Budget {
  let leftMs = totalMs;
  return {
    leftMs: () => leftMs,
    async run(what, work) {
      const startedMs = clock.monotonicMs();
      try {
        return await withLimit({ clock, ms: Math.max(0, leftMs), what, signal }, work);
      } finally {
        leftMs -= clock.monotonicMs() - startedMs;
      }
    },
  };
}
