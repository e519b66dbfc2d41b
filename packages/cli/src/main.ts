#!/usr/bin/env node
import { readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { axiosTransport, systemClock } from '@fenceline/common';
import { runCli } from './program.js';
import type { World } from './world.js';

const stopping = new AbortController();
process.once('SIGINT', () => stopping.abort(new Error('stopped')));

const world: World = {
  environment: process.env,
  home: homedir(),
  readText: (path) => readFileSync(path, 'utf8'),
  writeText: (path, text) => writeFileSync(path, text),
  connect: ({ url, ca, token }) => axiosTransport({ baseUrl: url, tls: { ca }, token }),
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
  terminal: process.stdout.isTTY,
  ask: process.stdin.isTTY ? ask : undefined,
  clock: systemClock,
  signal: stopping.signal,
};

/** `fenceline … | head` closes the pipe early: that is no error. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

async function ask(question: string): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await reader.question(question, { signal: stopping.signal });
  } finally {
    reader.close();
  }
}

process.exitCode = await runCli(process.argv.slice(2), world);
