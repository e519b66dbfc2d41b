import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readTlsFiles, winstonLogger } from '@fenceline/common';
import type { ComposeServer } from '../../composeTypes.js';
import { EXIT } from '../explain.js';
import type { ServerWorld } from '../serverProgram.js';

/** The machine that the program runs on. */
export function realWorld(compose: ComposeServer): ServerWorld {
  return {
    environment: process.env,
    readText: (path) => readFileSync(path, 'utf8'),
    readTls: readTlsFiles,
    writePrivate,
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    makeLogger: ({ log }) =>
      winstonLogger(log.file === '' ? { level: log.level } : { level: log.level, file: log.file }),
    compose,
    stopAsked,
  };
}

/** A new file beside it takes its place: never readable for others, never half written. */
function writePrivate(path: string, text: string): void {
  const next = `${path}.new`;
  rmSync(next, { force: true });
  writeFileSync(next, text, { mode: 0o600, flag: 'wx' });
  renameSync(next, path);
}

/** The second signal doesn't wait for an orderly end: everything durable is durable already. */
function stopAsked(): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => {
        if (asked) process.exit(EXIT.failed);
        asked = true;
        resolve(signal);
      });
  });
}
