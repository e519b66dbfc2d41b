import { ConfigError, errorCode, loadConfig, messageOf, SecretText } from '@fenceline/common';
import type { Secret } from '@fenceline/common';
import { Optional, rule, Text } from '@fenceline/protocol';
import { UsageError } from './failure.js';
import type { Connection, World } from './world.js';

const ServerUrl = () =>
  rule('isServerUrl', '$property must be like https://server:8443', {
    holds: (value) => typeof value === 'string' && /^https:\/\/[^\s/]+\/?$/.test(value),
  });

/** `~/.config/fenceline/cli.yaml`; FENCELINE_URL, FENCELINE_CA and FENCELINE_TOKEN win over it. */
class CliConfig {
  @ServerUrl() url = 'https://127.0.0.1:8443';
  /** File with the CA that signed the server's certificate. */
  @Text(4_096) ca = '/etc/fenceline/tls/ca.pem';
  @Optional() @SecretText() token: Secret | undefined = undefined;
}

const VARIABLES = ['FENCELINE_URL', 'FENCELINE_CA', 'FENCELINE_TOKEN'] as const;

export interface ConnectionFlags {
  config?: string;
  url?: string;
  ca?: string;
}

/** @throws ConfigError; UsageError if something is missing, with what to do. */
export function readConnection(world: World, flags: ConnectionFlags): Connection {
  const file = flags.config ?? `${world.home}/.config/fenceline/cli.yaml`;
  const yaml = readFile(world, { file, mustExist: flags.config !== undefined });
  // Variables of the server and the agent may stand in the same environment.
  const environment = Object.fromEntries(VARIABLES.map((name) => [name, world.environment[name]]));
  const given = {
    ...(flags.url === undefined ? {} : { url: flags.url }),
    ...(flags.ca === undefined ? {} : { ca: flags.ca }),
  };
  const config = loadConfig(CliConfig, { source: file, yaml, environment, flags: given });
  const { token } = config;
  if (token === undefined)
    throw new UsageError(
      `no access token: set FENCELINE_TOKEN, or token in ${file}. ` +
        'The server printed the first one when it was first started.',
    );
  return { url: config.url.replace(/\/$/, ''), ca: readCa(world, config.ca), token };
}

function readFile(world: World, { file, mustExist }: { file: string; mustExist: boolean }): string {
  try {
    return world.readText(file);
  } catch (error) {
    const code = errorCode(error) ?? messageOf(error);
    if (code === 'ENOENT' && !mustExist) return '';
    throw new ConfigError(file, [`can't be read (${code})`]);
  }
}

function readCa(world: World, path: string): string {
  const file = path.replace(/^~(?=\/)/, world.home);
  try {
    return world.readText(file);
  } catch (error) {
    throw new UsageError(
      `can't read the server's CA ${file} (${errorCode(error) ?? messageOf(error)}): ` +
        'copy it from the server and name it in FENCELINE_CA or ca of cli.yaml',
    );
  }
}
