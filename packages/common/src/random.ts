/** Chance, the only way to it; seeded in tests and in the simulator. */
export interface Random {
  /** A new random uuid, dashed, lower case. */
  uuid(): string;
  /** `bytes` random bytes as lower-case hex; unguessable in production. */
  hex(bytes: number): string;
  /** A number in [0, 1). */
  unit(): number;
}

/** The items in a random order; the input stays as it is. */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const keyed = items.map((item) => ({ item, key: random.unit() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
