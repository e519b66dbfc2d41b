import winston from 'winston';
import { makeLogger, type Logger, type LogLevel } from '../logger.js';

/** Lines of JSON on standard error (and a file, if named), each with time, level and facts. */
export function winstonLogger(options: { level: LogLevel; file?: string }): Logger {
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
  return makeLogger(({ level, sentence, facts }) =>
    inner.log({ level, message: sentence, ...facts }),
  );
}
