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
const STACK_LINE = /^\s+at \S/m;
const MAX_LINES = 8;

/**
 * What is wrong with how a program told it; empty: a sentence or two on standard error with all
 * that it has to say, no stack trace, no secret, nothing on standard output.
 */
export function notTold(ended: Ended, { code, says, secrets = [] }: Told): string[] {
  // A daemon's log goes to standard error too, as JSON lines.
  const lines = ended.err.split('\n').filter((line) => line !== '' && !LOG_LINE.test(line));
  const text = lines.join('\n');
  const problems = says.filter((part) => !text.includes(part)).map((part) => `says no "${part}"`);
  if (ended.code !== code) problems.push(`exit ${ended.code}, not ${code}`);
  if (ended.out !== '') problems.push(`standard output: ${ended.out}`);
  if (STACK_LINE.test(text)) problems.push('a stack trace');
  if (lines.length > MAX_LINES) problems.push(`${lines.length} lines`);
  if ([SECRET, ...secrets].some((secret) => (ended.err + ended.out).includes(secret)))
    problems.push('a secret is printed');
  return problems.length === 0 ? [] : [...problems, text];
}
