import { spawn } from 'node:child_process';
import { LabError } from './labError.js';

export interface RunOptions {
  readonly input?: string;
  /** Default 30 000. The command is killed then. */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

export interface RunResult {
  /** As a shell counts: 128 + signal number if it was killed. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = { SIGKILL: 9, SIGTERM: 15 };

/** Runs a program to its end, whatever its exit code. @throws LabError if it cannot be started. */
export function run(
  command: readonly string[],
  { input, timeoutMs = 30_000, env, cwd }: RunOptions = {},
): Promise<RunResult> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(env && { env }),
      ...(cwd !== undefined && { cwd }),
    });
    let [stdout, stderr, timedOut] = ['', '', false];
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
      // What it started may hold the pipes open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined); // a program need not read its input
    child.stdin.end(input);
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      // EACCES: a folder of PATH may not be looked into, and none of the others has it.
      const absent = error.code === 'ENOENT' || error.code === 'EACCES';
      const why = absent ? 'it is not installed' : error.message;
      reject(new LabError(`Cannot run ${program}: ${why}.`));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const killed = 128 + ((signal && signalNumbers[signal]) ?? 0);
      resolve({ code: code ?? killed, stdout, stderr, timedOut });
    });
  });
}

/** Like `run`, for a program that must succeed. Resolves with its standard output. */
export async function mustRun(command: readonly string[], options?: RunOptions): Promise<string> {
  const result = await run(command, options);
  if (result.code === 0) return result.stdout;
  const why = result.timedOut ? 'took too long' : `ended with ${result.code}`;
  throw new LabError(`${command.join(' ')} ${why}: ${result.stderr.trim()}`);
}
