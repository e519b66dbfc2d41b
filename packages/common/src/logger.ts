/** Flat facts beside a constant sentence. A `Secret` prints `[secret]`. */
export type LogFacts = Record<string, unknown>;

/** Where log lines go. Never throws. */
export interface Logger {
  debug(sentence: string, facts?: LogFacts): void;
  info(sentence: string, facts?: LogFacts): void;
  warn(sentence: string, facts?: LogFacts): void;
  error(sentence: string, facts?: LogFacts): void;
  /** A logger that adds these facts, and `prefix` in front of each sentence, if given. */
  child(facts: LogFacts, prefix?: string): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One line as a sink gets it. */
export interface LogLine {
  level: LogLevel;
  sentence: string;
  facts: LogFacts;
}

/** A logger over a plain function; facts of children are merged, later ones win. */
export function makeLogger(
  sink: (line: LogLine) => void,
  base: { facts: LogFacts; prefix: string } = { facts: {}, prefix: '' },
): Logger {
  const write =
    (level: LogLevel) =>
    (sentence: string, facts: LogFacts = {}): void =>
      sink({
        level,
        sentence: base.prefix === '' ? sentence : `${base.prefix} ${sentence}`,
        facts: { ...base.facts, ...facts },
      });
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (facts, prefix) =>
      makeLogger(sink, {
        facts: { ...base.facts, ...facts },
        prefix: [base.prefix, prefix ?? ''].filter((part) => part !== '').join(' '),
      }),
  };
}

/** Drops everything; for code under test whose log is not what is tested. */
export const silentLogger: Logger = makeLogger(() => undefined);
