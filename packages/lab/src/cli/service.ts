import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { UsageError } from '../labError.js';
import { nodeName } from '../plan/names.js';
import type { OpenLab } from './openLab.js';
import { print } from './output.js';

interface StartOptions {
  readonly boot?: true;
  readonly restart?: string;
  readonly env: readonly string[];
  readonly cwd?: string;
}

type ActionArgs = [string, string, string, string[], StartOptions];

const actions =
  'start (-- COMMAND…), stop, kill (no restarts), crash (restarts go on), resume, log';

export function addServiceCommand(program: Command, open: OpenLab): void {
  program
    .command('service <node> <name> <action> [command...]')
    .description(`a program that lives and dies with a node: ${actions}`)
    .option('--boot', 'start it again at each boot')
    .option('--restart <ms>', 'start it again so long after its end')
    .option('--env <key=value>', 'environment', (word, all: string[]) => [...all, word], [])
    .option('--cwd <dir>', 'folder to run in')
    .action(async (...args: unknown[]) => {
      const [nodeText, name, action, command, options] = args as ActionArgs;
      const node = open().node(nodeName(nodeText));
      switch (action) {
        case 'start':
          if (command.length === 0) throw new UsageError('What should it run? … start -- COMMAND');
          return node.startService(name, { command, ...startOptions(options) });
        case 'stop':
          return node.stopService(name);
        case 'kill':
          return node.killService(name);
        case 'crash':
          return node.killService(name, true);
        case 'resume':
          return node.releaseService(name);
        case 'log':
          return print(readFileSync(node.logOf(name), 'utf8'));
        default:
          throw new UsageError(`'${action}' is no action of a service. There are: ${actions}.`);
      }
    });
}

function startOptions(options: StartOptions) {
  const env = options.env.map((pair): [string, string] => {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`'${pair}' is no KEY=VALUE.`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  const restartMs = options.restart === undefined ? undefined : Number(options.restart);
  if (restartMs !== undefined && !(restartMs >= 0))
    throw new UsageError('--restart needs milliseconds.');
  return {
    env: Object.fromEntries(env),
    boot: options.boot === true,
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(restartMs !== undefined && { restartMs }),
  };
}
