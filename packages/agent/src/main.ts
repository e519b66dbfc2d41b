#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { winstonLogger, type Logger } from '@fenceline/common';
import { startAgent } from './compose.js';
import type { AgentConfig } from './config.js';
import { errnoOf } from './errno.js';
import { runProgram } from './program.js';

/** Work in hand has had its time when the agent says that it stopped; nothing may outlast this. */
const EXIT_LIMIT_MS = 2_000;

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function runAgent(config: AgentConfig): Promise<void> {
  const { level, file } = config.log;
  const log = winstonLogger(file === undefined ? { level } : { level, file });
  const stop = stopSignal(log);
  const agent = await startAgent(config, log);
  await stop;
  await agent.stop();
  log.info('agent stopped, VMs live on');
}

/** Resolves when the first of SIGTERM and SIGINT comes. */
function stopSignal(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        log.info('agent stopping', { signal });
        resolve();
      });
  });
}

process.exitCode = await runProgram(process.argv.slice(2), {
  environment: process.env,
  readFile,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  runAgent,
});
// A start under way goes on in its own process; it must not keep this one.
setTimeout(() => process.exit(), EXIT_LIMIT_MS).unref();
