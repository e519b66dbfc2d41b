import { FENCELINE_VERSION } from '@fenceline/protocol';
import { Command, CommanderError } from 'commander';
import { adder, type Add } from './commands/command.js';
import { addHostCommands } from './commands/host.js';
import { addClusterCommands, addTokenCommands, addTopCommands } from './commands/site.js';
import { addSettingCommands } from './commands/settings.js';
import { addTaskCommands } from './commands/task.js';
import { addVmCommands } from './commands/vm.js';
import { EXIT, explain } from './failure.js';
import { clean } from './render/text.js';
import type { GlobalFlags } from './session.js';
import type { World } from './world.js';

/** `fenceline`: one command. @returns the exit code; never throws for what a person did wrong. */
export async function runCli(argv: readonly string[], world: World): Promise<number> {
  const program = makeProgram(world);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage;
    return tell(error, world, program.opts<GlobalFlags>());
  }
}

function tell(error: unknown, world: World, flags: GlobalFlags): number {
  const url = flags.url ?? world.environment['FENCELINE_URL'] ?? 'the server';
  const { code, lines, exitCode } = explain(error, url);
  if (flags.json ?? false)
    world.err(JSON.stringify({ error: { code, message: lines.join('\n'), exitCode } }));
  else
    for (const [i, line] of lines.entries())
      world.err(i === 0 ? `fenceline: ${clean(line)}` : clean(line));
  return exitCode;
}

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a safety rule, 4 not reachable,
5 not allowed. Configuration: ~/.config/fenceline/cli.yaml (url, ca, token), or FENCELINE_URL,
FENCELINE_CA, FENCELINE_TOKEN.`;

function makeProgram(world: World): Command {
  const program = new Command('fenceline')
    .description('VM high availability that never runs a VM twice.')
    .version(FENCELINE_VERSION)
    .option('--json', 'answers as JSON')
    .option('--url <url>', 'the server (FENCELINE_URL)')
    .option('--ca <file>', "the CA of the server's certificate (FENCELINE_CA)")
    .option('--config <file>', 'instead of ~/.config/fenceline/cli.yaml')
    .option('--no-color', 'no colours (NO_COLOR)')
    .addHelpText('after', EXIT_CODES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => world.out(text.trimEnd()),
      writeErr: (text) => world.err(text.trimEnd()),
    });
  addTopCommands(adder(program, world));
  const nouns: [string, string, (add: Add) => void][] = [
    ['host', 'Hosts.', addHostCommands],
    ['vm', 'VMs.', addVmCommands],
    ['task', 'HA tasks: attempts to bring VMs back.', addTaskCommands],
    ['cluster', 'Clusters.', addClusterCommands],
    ['settings', 'Settings.', addSettingCommands],
    ['token', 'Access tokens.', addTokenCommands],
  ];
  for (const [noun, summary, addCommands] of nouns)
    addCommands(adder(program.command(noun).description(summary), world));
  return program;
}
