import { ConfigError, loadConfig, messageOf } from '@fenceline/common';
import { FENCELINE_VERSION } from '@fenceline/protocol';
import { Command, CommanderError } from 'commander';
import { AgentConfig, relationProblems } from './config.js';

export const DEFAULT_CONFIG_FILE = '/etc/fenceline/agent.yaml';

/** Exit codes of all programs; more of them are for clients. */
export const EXIT = { done: 0, failed: 1, wrongUsage: 2 } as const;

/** What the program needs of the process that it runs in. */
export interface ProgramWorld {
  environment: Readonly<Record<string, string | undefined>>;
  /** Text of a file; undefined if there is none. @throws Error if it can't be read. */
  readFile(path: string): string | undefined;
  out(text: string): void;
  err(text: string): void;
  /** Runs the agent until it is told to stop. @throws Error that says what is wrong. */
  runAgent(config: AgentConfig): Promise<void>;
}

interface Options {
  config?: string;
  checkConfig?: boolean;
}

/** `fenceline-agent`: answers the exit code; a user's mistake is a sentence, never a stack trace. */
export async function runProgram(argv: readonly string[], world: ProgramWorld): Promise<number> {
  const program = new Command('fenceline-agent')
    .description('The Fenceline agent of one KVM host.')
    .version(FENCELINE_VERSION)
    .option('--config <file>', `configuration file (default ${DEFAULT_CONFIG_FILE})`)
    .option('--check-config', 'check the configuration and end')
    .allowExcessArguments(false)
    .configureOutput({ writeOut: (text) => world.out(text), writeErr: (text) => world.err(text) })
    .exitOverride();
  try {
    program.parse([...argv], { from: 'user' });
    await run(program.opts<Options>(), world);
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage;
    world.err(`fenceline-agent: ${explain(error)}\n`);
    return error instanceof ConfigError ? EXIT.wrongUsage : EXIT.failed;
  }
}

async function run(options: Options, world: ProgramWorld): Promise<void> {
  const source = options.config ?? DEFAULT_CONFIG_FILE;
  const config = readConfig(source, { named: options.config !== undefined, world });
  if (options.checkConfig === true) world.out(`${source}: the configuration is valid\n`);
  else await world.runAgent(config);
}

/** A file that was named must be there; without the default one, the defaults hold. */
function readConfig(
  source: string,
  { named, world }: { named: boolean; world: ProgramWorld },
): AgentConfig {
  let yaml: string | undefined;
  try {
    yaml = world.readFile(source);
  } catch (error) {
    throw new ConfigError(source, [`can't be read: ${messageOf(error)}`]);
  }
  if (yaml === undefined && named) throw new ConfigError(source, ['there is no such file']);
  const { environment } = world;
  return loadConfig(AgentConfig, { source, yaml: yaml ?? '', environment }, relationProblems);
}

function explain(error: unknown): string {
  if (!(error instanceof ConfigError)) return messageOf(error);
  return [`${error.source}:`, ...error.problems.map((problem) => `  ${problem}`)].join('\n');
}
