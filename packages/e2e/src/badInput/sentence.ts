import { expect } from '@jest/globals';
import type { Ended } from './programs.js';
import { SECRET } from './site.js';

/** What a person has to be told. */
export interface Told {
  code: number;
  /** The thing that is wrong, and what to do about it. */
  says: readonly string[];
  /** More that must not be printed. */
  secrets?: readonly string[];
}

const LOG_LINE = /^\{"/;

/** A sentence or two on standard error: no stack trace, no secret, nothing on standard output. */
export function expectSentence(ended: Ended, { code, says, secrets = [] }: Told): void {
  // A daemon's log goes to standard error too, as JSON lines.
  const lines = ended.err.split('\n').filter((line) => line !== '' && !LOG_LINE.test(line));
  const text = lines.join('\n');
  expect({ code: ended.code, out: ended.out, text }).toEqual({ code, out: '', text });
  for (const part of says) expect(text).toContain(part);
  expect(text).not.toMatch(/^\s+at \S/m);
  expect(lines.length).toBeLessThanOrEqual(8);
  for (const secret of [SECRET, ...secrets]) expect(ended.err).not.toContain(secret);
}
