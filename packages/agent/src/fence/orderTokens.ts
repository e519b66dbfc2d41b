import { DomainError, MAX_ORDER_TOKENS } from '@fenceline/protocol';

/**
 * The order tokens that this host holds (F29a): each lets one order of a sibling through, and the
 * fence program takes it away by that. Only the server deposits them; nothing tells them to anybody.
 */
export interface OrderTokens {
  /**
   * Adds these; with `replace`, every other one is taken away first. Answers how many are held.
   * @throws DomainError REFUSED if more than `MAX_ORDER_TOKENS` would be held; Error that says what
   * could not be written.
   */
  deposit(tokens: readonly string[], options: { replace: boolean }): Promise<number>;
  /** How many are held now. */
  held(): Promise<number>;
}

/** @throws DomainError REFUSED; never with a token in it (F28). */
export function checkRoom(held: ReadonlySet<string>, tokens: readonly string[]): void {
  const after = new Set([...held, ...tokens]).size;
  if (after > MAX_ORDER_TOKENS)
    throw new DomainError('REFUSED', `tokens: this host holds at most ${MAX_ORDER_TOKENS}`, {
      held: held.size,
    });
}

/** In memory, for tests and simulated hosts. */
export function memoryOrderTokens(memory: Set<string>): OrderTokens {
  return {
    deposit: async (tokens, { replace }) => {
      checkRoom(replace ? new Set() : memory, tokens);
      if (replace) memory.clear();
      for (const token of tokens) memory.add(token);
      return memory.size;
    },
    held: async () => memory.size,
  };
}
