import type { Random } from '../random.js';

/** Chance that repeats: the same seed gives the same sequence on every machine. Never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  // Mulberry32: small, fast, and even enough for tests and simulations.
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const hex = (bytes: number): string =>
    Array.from({ length: bytes }, () => (word() & 0xff).toString(16).padStart(2, '0')).join('');
  return {
    unit: () => (word() * 2 ** 20 + (word() >>> 12)) / 2 ** 52,
    hex,
    uuid: () => {
      const digits = hex(16);
      const variant = '89ab'[word() & 3] ?? '8';
      return [
        digits.slice(0, 8),
        digits.slice(8, 12),
        `4${digits.slice(13, 16)}`,
        `${variant}${digits.slice(17, 20)}`,
        digits.slice(20, 32),
      ].join('-');
    },
  };
}
