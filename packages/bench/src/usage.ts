import { parseArgs } from 'node:util';

/** What the command line asks for. */
export interface Asked {
  readonly name: string;
  readonly runs: number;
  /** A file for the result as JSON; `-`: standard output instead of the table. */
  readonly json?: string;
}

/** The command line is wrong; the message is a sentence for people. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const MAX_RUNS = 10_000;

export function usage(names: readonly string[]): string {
  return [
    'usage: npm run bench -- NAME [--runs N] [--json FILE]',
    `  NAME         ${names.join(', ')}`,
    `  --runs N     how often each side is measured, 1 to ${MAX_RUNS}`,
    '  --json FILE  the result for programs; - for standard output instead of the table',
  ].join('\n');
}

/** @throws UsageError that names what is wrong; `--help` asks for `name` "help". */
export function parseUsage(
  args: readonly string[],
  defaults: Readonly<Record<string, number>>,
): Asked {
  const { values, positionals } = parsed(args);
  if (values.help === true) return { name: 'help', runs: 0 };
  const [name, ...more] = positionals;
  const names = Object.keys(defaults);
  if (name === undefined) throw new UsageError(`NAME is missing: one of ${names.join(', ')}`);
  if (more.length > 0) throw new UsageError(`one NAME is enough: ${more.join(' ')} is too much`);
  const usual = defaults[name];
  if (usual === undefined)
    throw new UsageError(`NAME: there is no benchmark ${name}, but ${names.join(', ')}`);
  const runs = values.runs === undefined ? usual : wholeNumber(values.runs);
  return { name, runs, ...(values.json === undefined ? {} : { json: values.json }) };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        runs: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= MAX_RUNS) return value;
  throw new UsageError(`--runs: a whole number from 1 to ${MAX_RUNS} is needed, not ${text}`);
}
