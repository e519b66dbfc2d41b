import { makeLogger, type Logger, type LogLine } from '../logger.js';

/** A logger that keeps its lines, for tests that ask what was logged. */
export function recordingLogger(): { log: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  return { log: makeLogger((line) => lines.push(line)), lines };
}
