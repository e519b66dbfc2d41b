import {
  ConfigError,
  errorCode,
  isError,
  messageOf,
  type Logger,
  type TlsFiles,
  type TlsPaths,
} from '@fenceline/common';
import { FENCELINE_VERSION } from '@fenceline/protocol';
import { Command, CommanderError } from 'commander';
import type { ComposeServer, Server } from '../composeTypes.js';
import { loadServerConfig, type ServerConfig } from '../config.js';
import { EXIT, explainStart } from './explain.js';

export const DEFAULT_CONFIG = '/etc/fenceline/server.yaml';

/** What the program needs of the machine that it runs on. */
export interface ServerWorld {
  environment: Readonly<Record<string, string | undefined>>;
  /** @throws an error with `code` ENOENT, EACCES … */
  readText(path: string): string;
  /** @throws Error that names the file. */
  readTls(paths: TlsPaths): TlsFiles;
  /** Writes a file that only its owner can read, in one step. @throws Error */
  writePrivate(path: string, text: string): void;
  out(line: string): void;
  err(line: string): void;
  makeLogger(config: ServerConfig): Logger;
  compose: ComposeServer;
  /** Resolves with the name of the first signal that asks this program to stop. */
  stopAsked(): Promise<string>;
}

interface Flags {
  config?: string;
  checkConfig?: boolean;
  listen?: string;
  port?: string;
  stateDir?: string;
  logLevel?: string;
  tokenFile?: string;
  newAdminToken?: boolean;
}

/** `fenceline-server`: runs until a signal asks it to stop. @returns the exit code. */
export async function runServer(argv: readonly string[], world: ServerWorld): Promise<number> {
  const program = makeProgram(world);
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage;
    throw error;
  }
  return run(program.opts<Flags>(), world);
}

function makeProgram(world: ServerWorld): Command {
  return new Command('fenceline-server')
    .description('The Fenceline management server.')
    .version(FENCELINE_VERSION)
    .option('--config <file>', `configuration file (default ${DEFAULT_CONFIG}, if it exists)`)
    .option('--check-config', 'check configuration and TLS files, and end')
    .option('--listen <address>', 'address of the API (server.address)')
    .option('--port <number>', 'port of the API (server.port)')
    .option('--state-dir <directory>', 'where the database is (stateDir)')
    .option('--log-level <level>', 'debug, info, warn or error (log.level)')
    .option('--token-file <file>', 'write a new admin token there instead of printing it')
    .option('--new-admin-token', 'make one more admin token, if all others are lost')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => world.out(text.trimEnd()),
      writeErr: (text) => world.err(text.trimEnd()),
    });
}

async function run(flags: Flags, world: ServerWorld): Promise<number> {
  let config: ServerConfig | undefined;
  let log: Logger | undefined;
  try {
    config = readConfig(flags, world);
    const tls = {
      api: world.readTls(config.tls.api),
      agents: world.readTls(config.tls.agents),
    };
    if (flags.checkConfig === true) {
      world.out(`${flags.config ?? DEFAULT_CONFIG}: the configuration is valid`);
      return EXIT.done;
    }
    log = world.makeLogger(config);
    // Asked first, so that a signal during the start is not lost.
    const stopAsked = world.stopAsked();
    const newAdminToken = flags.newAdminToken ?? false;
    const server = await world.compose({ config, log, tls, newAdminToken });
    return await serve(server, { flags, world, log, stopAsked });
  } catch (error) {
    const { lines, exitCode, defect } = explainStart(error, config);
    const stack = isError(error) ? error.stack : undefined;
    if (defect) log?.error('the server failed', { error: messageOf(error), stack });
    for (const [i, line] of lines.entries())
      world.err(i === 0 ? `fenceline-server: ${line}` : line);
    return exitCode;
  }
}

interface Serving {
  flags: Flags;
  world: ServerWorld;
  log: Logger;
  stopAsked: Promise<string>;
}

async function serve(server: Server, { flags, world, log, stopAsked }: Serving): Promise<number> {
  try {
    log.info('server started', { port: server.port, version: FENCELINE_VERSION });
    if (!handOver(server, flags, world)) return EXIT.failed;
    const signal = await stopAsked;
    log.info('server stopping', { signal });
  } finally {
    await server.stop();
  }
  log.info('server stopped; agents and VMs live on');
  return EXIT.done;
}

/** The one place where a token leaves the program in clear (F28): never through the log. */
function handOver({ adminToken }: Server, { tokenFile }: Flags, world: ServerWorld): boolean {
  if (adminToken === undefined) return true;
  if (tokenFile === undefined) {
    world.out(`Admin token, shown this once: ${adminToken.reveal()}`);
    return true;
  }
  try {
    world.writePrivate(tokenFile, `${adminToken.reveal()}\n`);
    world.out(`The admin token is in ${tokenFile}.`);
    return true;
  } catch (error) {
    world.err(
      `fenceline-server: can't write the admin token to ${tokenFile} (${errorCode(error) ?? messageOf(error)}). ` +
        'Start again with --new-admin-token and a file that can be written.',
    );
    return false;
  }
}

/** The named file must be there; the default one may be missing. */
function readConfig(flags: Flags, world: ServerWorld): ServerConfig {
  const source = flags.config ?? DEFAULT_CONFIG;
  let yaml = '';
  try {
    yaml = world.readText(source);
  } catch (error) {
    const code = errorCode(error) ?? messageOf(error);
    if (flags.config !== undefined || code !== 'ENOENT')
      throw new ConfigError(source, [`can't be read (${code}); name a file with --config`]);
  }
  return loadServerConfig({ source, yaml, environment: world.environment, flags: treeOf(flags) });
}

/** Flags as nested settings; what was not given is not there. */
function treeOf({ listen, port, stateDir, logLevel }: Flags): object {
  const server = {
    ...(listen === undefined ? {} : { address: listen }),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
  return {
    ...(Object.keys(server).length === 0 ? {} : { server }),
    ...(stateDir === undefined ? {} : { stateDir }),
    ...(logLevel === undefined ? {} : { log: { level: logLevel } }),
  };
}
