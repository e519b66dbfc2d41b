import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { messageOf } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import { parseStat } from '../../vms/parseProcess.js';
import type { PendingStart, StartEnd } from '../libvirt.js';
import { connectionLost, libvirtFailure } from '../parse.js';
import { PLAIN_ENVIRONMENT } from './command.js';

/**
 * Waits for one line and then becomes the command: pid and start time stay. The text is fixed and
 * the command comes as arguments, so no input is ever read as shell. If the agent dies first, the
 * read sees the end of the pipe, and the start never happens.
 */
export const START_GATE = 'IFS= read -r word && [ "$word" = go ] && exec "$@" </dev/null';
const MAX_BYTES = 64 * 1_024;
/** A killed process that is still there after this long hangs in the kernel. */
const ABANDON_LIMIT_MS = 5_000;

type Gate = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * Starts the command blocked on its standard input (hostfiles: grants).
 * @param tidy is called once, when the process has ended.
 * @throws DomainError LIBVIRT_FAILED if it can't be started.
 */
export async function gateStart(
  command: readonly string[],
  tidy: () => Promise<void>,
): Promise<PendingStart> {
  // A group of its own, so that a signal to the agent's group does not end a start under way.
  const child: Gate = spawn('/bin/sh', ['-c', START_GATE, 'fenceline-start', ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: PLAIN_ENVIRONMENT,
    detached: true,
  });
  // Without file handles Node makes no streams, and says so a moment later.
  child.on('error', () => undefined);
  if (!child.stdin)
    throw new DomainError('LIBVIRT_FAILED', "can't prepare a start: no file handles");
  const ended = endOf(child, tidy);
  // The pipe may break at any moment; how it ended is what `ended` tells.
  child.stdin.on('error', () => undefined);
  const { pid } = child;
  const startTime = pid === undefined ? undefined : await startTimeOf(pid);
  if (pid === undefined || startTime === undefined) {
    const { failure } = await ended;
    throw new DomainError('LIBVIRT_FAILED', `can't prepare a start: ${failure ?? 'it ended'}`);
  }
  let letGo = false;
  return {
    pid,
    startTime,
    go: (timeoutMs) => {
      letGo = true;
      return go(child, ended, timeoutMs);
    },
    abandon: async () => {
      child.kill('SIGKILL');
      const end = await within(ended, ABANDON_LIMIT_MS);
      if (end === 'late')
        throw new DomainError('TIMED_OUT', `process ${pid} does not end`, { pid });
      return letGo ? endOfStart(end) : 'resolved';
    },
  };
}

function endOfStart({ code, stderr }: End): StartEnd {
  if (code === 0) return 'resolved';
  // safety: F34: killed, or cut off from libvirt: the daemon may still run what it was asked for
  return code === null || connectionLost(stderr) ? 'unresolved' : 'resolved';
}

interface End {
  code: number | null;
  stderr: string;
  failure?: string;
}

/** How the process ended, whatever its output pipes do. */
async function endOf(child: Gate, tidy: () => Promise<void>): Promise<End> {
  let stderr = '';
  child.stdout.resume();
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr = (stderr + chunk).slice(0, MAX_BYTES);
  });
  const end = await new Promise<End>((resolve) => {
    child.on('error', (error) => resolve({ code: null, stderr, failure: messageOf(error) }));
    child.on('close', (code) => resolve({ code, stderr }));
  });
  await tidy();
  return end;
}

async function go(child: Gate, ended: Promise<End>, timeoutMs: number): Promise<void> {
  child.stdin.end('go\n');
  const end = await within(ended, timeoutMs);
  if (end === 'late') {
    child.kill('SIGKILL');
    throw new DomainError('TIMED_OUT', `libvirt did not finish the start in ${timeoutMs} ms`);
  }
  if (end.code === null)
    throw new DomainError('LIBVIRT_FAILED', 'the start was ended from outside, as by a fence');
  if (end.code !== 0) throw libvirtFailure('start', end.stderr);
}

async function within<T>(work: Promise<T>, ms: number): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function startTimeOf(pid: number): Promise<number | undefined> {
  try {
    return parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'))?.startTime;
  } catch {
    return undefined;
  }
}
