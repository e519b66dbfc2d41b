import { inspect } from 'node:util';

/** A value that can't print itself: logs, JSON, errors and `console.log` show `[secret]` (F28). */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  /** The value, for the one place that needs it. Never pass it to a log or an error. */
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [inspect.custom](): string {
    return '[secret]';
  }
}
