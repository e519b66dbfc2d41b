import winston from 'winston';
import { messageOf } from '../failure.js';
import { makeLogger, type LogFacts, type Logger, type LogLevel } from '../logger.js';

/**
 * Lines of JSON on standard error (and a file, if named), each with time, level and facts. A log
 * that can't be written (full disk, closed pipe) says so once where it can, and never throws.
 */
export function winstonLogger(options: { level: LogLevel; file?: string }): Logger {
  if (process.stderr.listenerCount('error', ignore) === 0) process.stderr.on('error', ignore);
  const inner = winston.createLogger({
    level: options.level,
    format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
    transports: [
      new winston.transports.Stream({ stream: process.stderr }),
      ...(options.file === undefined
        ? []
        : [new winston.transports.File({ filename: options.file })]),
    ],
  });
  let told = false;
  inner.on('error', (error: unknown) => {
    if (told) return;
    told = true;
    const facts = { level: 'error', message: 'the log file can not be written' };
    process.stderr.write(`${JSON.stringify({ ...facts, error: messageOf(error) })}\n`);
  });
  return makeLogger(({ level, sentence, facts }) =>
    inner.log({ ...printable(facts), level, message: sentence }),
  );
}

/** Names that winston gives a meaning; a fact of that name would overwrite it. */
const TAKEN = ['level', 'message', 'timestamp', 'splat'];

function printable(facts: LogFacts): LogFacts {
  return Object.fromEntries(
    Object.entries(facts).map(([name, fact]) => [
      TAKEN.includes(name) ? `${name}_` : name,
      // An Error's fields are not enumerable: as JSON it would be `{}`.
      fact instanceof Error ? messageOf(fact) : fact,
    ]),
  );
}

function ignore(): void {
  // Nowhere left to say it.
}
