import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { asError, messageOf } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';

type Child = ChildProcessByStdio<null, Readable, Readable>;

export interface CommandLimits {
  timeoutMs: number;
  /** Standard output and error together; more ends the command. */
  maxBytes: number;
}

export interface CommandResult {
  /** Exit status; null if a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What a child sees of our environment: nothing that could change how it talks. */
export const PLAIN_ENVIRONMENT: NodeJS.ProcessEnv = {
  PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  HOME: '/root',
};

/** No process or file handle left is a failure like any other, however Node tells it. */
function spawnOrFail(program: string, args: readonly string[]): Child {
  let child: Child | undefined;
  let why = 'out of file handles';
  try {
    child = spawn(program, [...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: PLAIN_ENVIRONMENT,
    });
  } catch (error) {
    why = messageOf(error);
  }
  // Without file handles Node makes no streams, and says so a moment later.
  child?.on('error', () => undefined);
  if (!child?.stdout) throw new DomainError('LIBVIRT_FAILED', `can't run ${program}: ${why}`);
  return child;
}

/**
 * Runs one program, without a shell; killed at its limit. Promises to settle at the limit also if
 * the child can't be killed (a process in D keeps its pending SIGKILL).
 * @throws DomainError TIMED_OUT, or LIBVIRT_FAILED if it can't be run or says too much.
 */
export function runCommand(
  program: string,
  args: readonly string[],
  limits: CommandLimits,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawnOrFail(program, args);
    const output = { stdout: '', stderr: '' };
    const fail = (error: Error): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.stderr.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new DomainError('TIMED_OUT', `${program}: no answer in ${limits.timeoutMs} ms`)),
      limits.timeoutMs,
    );
    const take = (name: 'stdout' | 'stderr', chunk: string): void => {
      output[name] += chunk;
      if (output.stdout.length + output.stderr.length > limits.maxBytes)
        fail(new DomainError('LIBVIRT_FAILED', `${program}: more than ${limits.maxBytes} bytes`));
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => take('stdout', chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => take('stderr', chunk));
    child.on('error', (error) =>
      fail(new DomainError('LIBVIRT_FAILED', `can't run ${program}: ${asError(error).message}`)),
    );
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...output });
    });
  });
}
