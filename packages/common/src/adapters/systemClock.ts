import type { Clock } from '../clock.js';

/** The machine's clocks. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (ms, action) => {
    const handle = setTimeout(action, Math.max(0, ms));
    return { cancel: () => clearTimeout(handle) };
  },
};
