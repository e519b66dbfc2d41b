import { spawn } from 'node:child_process';
import os from 'node:os';
import { enterCommand } from '../hostHandle.js';
import { LabError } from '../labError.js';
import { nodeEnvironment } from '../plan/environment.js';
import type { NodeName } from '../plan/names.js';
import type { LabPaths } from '../plan/paths.js';

/** Runs a command in a node on this very terminal. Resolves with its exit code. */
export async function execInNode(
  paths: LabPaths,
  node: NodeName,
  command: readonly string[],
): Promise<number> {
  const [program = '', ...args] = await enterCommand(paths, node, { command, cwd: '/' });
  const terminal = process.env['TERM'];
  const env = nodeEnvironment(terminal === undefined ? {} : { TERM: terminal });
  // A Ctrl-C is for the command: it gets it from the terminal, and this waits for its end.
  process.on('SIGINT', () => undefined);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env });
    child.once('error', (error) => reject(new LabError(`Cannot run ${program}: ${error.message}`)));
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal ? os.constants.signals[signal] : 0));
    });
  });
}
