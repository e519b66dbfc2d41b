#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { ConfigError, loadConfig, messageOf, winstonLogger, type Logger } from '@fenceline/common';
import { FENCELINE_VERSION } from '@fenceline/protocol';
import { Command, CommanderError } from 'commander';
import { startAgent } from './compose.js';
import { AgentConfig, relationProblems } from './config.js';

const DEFAULT_FILE = '/etc/fenceline/agent.yaml';
const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;

interface Options {
  config?: string;
  checkConfig?: boolean;
}

/** Reads the configuration: the named file must be there, the default one may be missing. */
function readConfig(options: Options): AgentConfig {
  const source = options.config ?? DEFAULT_FILE;
  const missing = options.config === undefined && !existsSync(source);
  let yaml = '';
  try {
    if (!missing) yaml = readFileSync(source, 'utf8');
  } catch (error) {
    throw new ConfigError(source, [`can't be read: ${messageOf(error)}`]);
  }
  const environment = process.env;
  return loadConfig(AgentConfig, { source, yaml, environment }, relationProblems);
}

async function run(options: Options): Promise<void> {
  const config = readConfig(options);
  if (options.checkConfig === true) {
    process.stdout.write(`${options.config ?? DEFAULT_FILE}: the configuration is valid\n`);
    return;
  }
  const { level, file } = config.log;
  const log = winstonLogger(file === undefined ? { level } : { level, file });
  const agent = await startAgent(config, log);
  await stopSignal(log);
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

/** A sentence that says what is wrong and what to do; never a stack trace (names.md). */
function explain(error: unknown): string {
  if (error instanceof ConfigError)
    return [`${error.source}:`, ...error.problems.map((problem) => `  ${problem}`)].join('\n');
  return messageOf(error);
}

async function main(): Promise<number> {
  const program = new Command('fenceline-agent')
    .description('The Fenceline agent of one KVM host.')
    .version(FENCELINE_VERSION)
    .option('--config <file>', `configuration file (default ${DEFAULT_FILE})`)
    .option('--check-config', 'check the configuration and end')
    .exitOverride();
  try {
    program.parse();
    await run(program.opts<Options>());
    return DONE;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE;
    process.stderr.write(`fenceline-agent: ${explain(error)}\n`);
    return error instanceof ConfigError ? WRONG_USAGE : FAILED;
  }
}

process.exitCode = await main();
