import { appendFile } from 'node:fs';
import { Writable } from 'node:stream';
import winston from 'winston';
import { isError, messageOf } from '../failure.js';
import { makeLogger, type LogFacts, type Logger, type LogLevel } from '../logger.js';

/** A disk that hangs must not fill the memory: beyond this, lines go to standard error alone. */
const MAX_UNWRITTEN_BYTES = 1_024 * 1_024;

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
      ...(options.file === undefined ? [] : [fileTransport(options.file)]),
    ],
  });
  return makeLogger(({ level, sentence, facts }) =>
    inner.log({ ...printable(facts), level, message: sentence }),
  );
}

/** winston's own file transport hides what goes wrong, and stops for good at the first error. */
function fileTransport(path: string): winston.transports.StreamTransportInstance {
  const file = new LogFile(path);
  const unlessStuck = winston.format((info) =>
    file.writableLength < MAX_UNWRITTEN_BYTES ? info : false,
  );
  return new winston.transports.Stream({ stream: file, format: unlessStuck() });
}

/** Appends each line by itself: it goes on when the disk has room again, or the file was rotated. */
class LogFile extends Writable {
  #told = false;

  constructor(readonly path: string) {
    super({ decodeStrings: true });
  }

  // oxlint-disable-next-line max-params -- the form that Node asks for
  override _write(line: Uint8Array, _encoding: string, done: () => void): void {
    appendFile(this.path, line, { mode: 0o640 }, (error) => {
      if (error === null) this.#told = false;
      else this.#tell(error);
      done();
    });
  }

  #tell(error: Error): void {
    if (this.#told) return;
    this.#told = true;
    const line = { level: 'error', message: 'the log file can not be written' };
    process.stderr.write(`${JSON.stringify({ ...line, error: error.message })}\n`);
  }
}

/** Names that winston gives a meaning; a fact of that name would overwrite it. */
const TAKEN = ['level', 'message', 'timestamp', 'splat'];

function printable(facts: LogFacts): LogFacts {
  return Object.fromEntries(
    Object.entries(facts).map(([name, fact]) => [
      TAKEN.includes(name) ? `${name}_` : name,
      // An Error's fields are not enumerable: as JSON it would be `{}`.
      isError(fact) ? messageOf(fact) : fact,
    ]),
  );
}

function ignore(): void {
  // Nowhere left to say it.
}
