import { Command, CommanderError } from 'commander';
import { Lab } from '../client.js';
import { messageOf, UsageError } from '../labError.js';
import { addCommands } from './commands.js';

/** Exit codes: 0 done, 1 failed, 2 wrong usage; `check`: 0 one writer, 3 two writers, 4 no data. */
async function main(): Promise<void> {
  const program = new Command('lab')
    .description('Real KVM hosts made of namespaces on one machine, to hurt at will.')
    .option('--dir <path>', 'lab directory (default: $FENCELINE_LAB_DIR or /tmp/fenceline-lab)')
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError();
  addCommands(program, (options = {}) => {
    const { dir } = program.opts<{ dir?: string }>();
    return Lab.open({ ...(dir !== undefined && { dir }), ...options });
  });
  await program.parseAsync();
}

// `lab status | head -1` is no failure.
process.stdout.on('error', () => process.exit());
try {
  await main();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`lab: ${messageOf(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
