import type { Clock } from '../clock.js';

/** Longer delays make Node's timers fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** The machine's clocks. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (ms, action) => {
    const dueMs = performance.now() + Math.max(0, ms);
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      handle = setTimeout(fire, Math.min(Math.ceil(leftMs), LONGEST_DELAY_MS));
    };
    // Node rounds down, so that a timer may fire a moment early.
    const fire = (): void => {
      const leftMs = dueMs - performance.now();
      if (leftMs > 0) arm(leftMs);
      else action();
    };
    arm(ms);
    return { cancel: () => clearTimeout(handle) };
  },
};
