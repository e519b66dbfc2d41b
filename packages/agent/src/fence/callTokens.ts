import type { Secret } from '@fenceline/common';

/** May go into one order: with this token, or with none where none is asked for. */
export interface Claimed {
  token: Secret | undefined;
}

/**
 * The order tokens of one fence call (F29a). Each goes into one order at most, and is claimed in the
 * moment in which that order is written. What was not claimed by the time of the answer is told to
 * the server, which may use it again.
 */
export class CallTokens {
  readonly #tokens: readonly Secret[] | undefined;
  #claimed = 0;
  #isSealed = false;

  /** @param tokens in the order of use; undefined: the suspect asks for none. */
  constructor(tokens: readonly Secret[] | undefined) {
    this.#tokens = tokens;
  }

  /** Another order could be given. */
  get areLeft(): boolean {
    return !this.#isSealed && (this.#tokens === undefined || this.#claimed < this.#tokens.length);
  }

  /** Another token could be tried after one that was refused. */
  get haveSpare(): boolean {
    return this.#tokens !== undefined && this.areLeft;
  }

  /** For an order that is written before anything else happens; undefined: none may be written. */
  claim(): Claimed | undefined {
    if (!this.areLeft) return undefined;
    const token = this.#tokens?.[this.#claimed];
    this.#claimed += 1;
    return { token };
  }

  /**
   * Places of the tokens that were never claimed.
   * safety: F29a: and never will be: a token that is told as unused must not be in an order later
   */
  seal(): number[] {
    this.#isSealed = true;
    return (this.#tokens ?? []).flatMap((_, place) => (place < this.#claimed ? [] : [place]));
  }
}
