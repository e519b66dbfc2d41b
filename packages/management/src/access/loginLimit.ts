import type { MonotonicMs } from '@fenceline/common';

const WINDOW_MS = 60_000;
const MAX_FAILURES = 20;
const MAX_ADDRESSES = 4_096;

interface Window {
  untilMs: MonotonicMs;
  failures: number;
}

/** Counts failed logins per address; bounded, in memory. */
export interface LoginLimit {
  /**
   * One more failed login; true if the address has had too many within a minute. A good token is
   * never asked about: whoever shares an address with a guesser must not be locked out, and a
   * token of 256 bits can't be guessed.
   */
  failed(address: string, nowMs: MonotonicMs): boolean;
}

export function makeLoginLimit(): LoginLimit {
  const windows = new Map<string, Window>();
  return {
    failed(address, nowMs) {
      const key = networkOf(address);
      const known = windows.get(key);
      const window =
        known === undefined || known.untilMs <= nowMs
          ? { untilMs: nowMs + WINDOW_MS, failures: 0 }
          : known;
      window.failures += 1;
      // Written anew so that the map's order is by last failure; the oldest makes room.
      windows.delete(key);
      windows.set(key, window);
      const oldest = windows.keys().next().value;
      if (windows.size > MAX_ADDRESSES && oldest !== undefined) windows.delete(oldest);
      return window.failures > MAX_FAILURES;
    },
  };
}

/** An IPv6 caller has a /64 at least, so that counts as one. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  return address.split(':').slice(0, 4).join(':');
}
