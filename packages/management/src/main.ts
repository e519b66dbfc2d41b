#!/usr/bin/env node
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { messageOf, readTlsFiles, winstonLogger } from '@fenceline/common';
import { composeServer } from './compose.js';
import { EXIT } from './program/explain.js';
import { runServer, type ServerWorld } from './program/serverProgram.js';

const world: ServerWorld = {
  environment: process.env,
  readText: (path) => readFileSync(path, 'utf8'),
  readTls: readTlsFiles,
  writePrivate,
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
  makeLogger: ({ log }) =>
    winstonLogger(log.file === '' ? { level: log.level } : { level: log.level, file: log.file }),
  compose: composeServer,
  stopAsked,
};

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

/**
 * safety: after an error that nobody caught, what this process believes may be wrong. It ends, and
 * its next start goes on from what is durable.
 */
for (const kind of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(kind, (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    const line = { level: 'error', message: 'a defect ends the server', error: messageOf(error) };
    process.stderr.write(`${JSON.stringify({ ...line, stack })}\n`);
    process.exit(EXIT.failed);
  });

process.exitCode = await runServer(process.argv.slice(2), world);
