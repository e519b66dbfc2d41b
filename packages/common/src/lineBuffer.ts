/** Cuts a byte stream into lines with a bound on each line; keeps UTF-8 characters whole. */
export class LineBuffer {
  #rest = '';
  readonly #decoder = new TextDecoder('utf-8');

  constructor(readonly maxLineChars: number) {}

  /** The complete lines that this chunk ends. @throws RangeError if a line exceeds the bound. */
  push(chunk: Uint8Array | string): string[] {
    const text = typeof chunk === 'string' ? chunk : this.#decoder.decode(chunk, { stream: true });
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    if (this.#rest.length > this.maxLineChars || parts.some((p) => p.length > this.maxLineChars))
      throw new RangeError(`a line is longer than ${this.maxLineChars} characters`);
    return parts.map((line) => line.replace(/\r$/, ''));
  }

  /** What has come of a line that has not ended. */
  get rest(): string {
    return this.#rest;
  }
}
