import { spawn } from 'node:child_process';
import type { Logger } from '@fenceline/common';
import {
  PowerDeviceError,
  type PowerDevice,
  type PowerDeviceConfig,
} from '../power/powerDevice.js';
import { powerSetupProblems } from '../power/powerSetupRules.js';
import { powerInput, powerStateOf, type PowerAction } from './fenceAgentPowerRules.js';

/** Enough for the words that count; what comes after is dropped. */
const MAX_OUTPUT_BYTES = 16 * 1_024;
/** Killed programs are waited for at most this long, ms. */
const REAP_MS = 1_000;

export interface FenceAgentPowerOptions {
  log: Logger;
  /** Where program names are looked up. */
  path?: string;
}

interface Ended {
  /** null: it was killed, or never started. */
  exitCode: number | null;
  why: 'exited' | 'notStarted' | 'timedOut';
  output: string;
}

/**
 * Drives power devices through the fence-agents programs: parameters go in on standard input,
 * never as arguments or environment (both are readable by others); output is read to a bound,
 * looked at for the listed words, and never logged (F28).
 */
export function fenceAgentPower(options: FenceAgentPowerOptions): PowerDevice {
  const run = async (
    action: PowerAction,
    config: PowerDeviceConfig,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<Ended> => {
    const problems = powerSetupProblems(config.agent, config.parameters);
    if (problems.length > 0) throw new PowerDeviceError('badParameters', problems.join('; '));
    const input = powerInput(action, config.parameters);
    const ended = await runProgram(config.agent, input, { timeoutMs, path: options.path });
    const { exitCode, why } = ended;
    options.log.debug('power program ended', { agent: config.agent, action, exitCode, why });
    return ended;
  };
  const command =
    (action: 'on' | 'off') =>
    async (config: PowerDeviceConfig, limit: { timeoutMs: number }): Promise<void> => {
      const ended = await run(action, config, limit);
      if (ended.why === 'exited' && ended.exitCode === 0) return;
      const failure = ended.why === 'exited' ? 'failed' : ended.why;
      throw new PowerDeviceError(failure, describe(action, config, ended));
    };
  return {
    off: command('off'),
    on: command('on'),
    async status(config, limit) {
      const ended = await run('status', config, limit);
      return ended.why === 'exited' ? powerStateOf(ended.exitCode, ended.output) : 'unknown';
    },
  };
}

function describe(action: PowerAction, { agent }: PowerDeviceConfig, ended: Ended): string {
  if (ended.why === 'notStarted')
    return `${agent} can't be started; is fence-agents installed on this server?`;
  if (ended.why === 'timedOut') return `${agent} did not answer to action=${action} in time`;
  return `${agent} failed with exit code ${ended.exitCode} on action=${action}`;
}

function runProgram(
  program: string,
  input: string,
  { timeoutMs, path }: { timeoutMs: number; path: string | undefined },
): Promise<Ended> {
  return new Promise((resolve) => {
    // Its own process group, so that what it started ends with it.
    const child = spawn(program, [], {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: path ?? process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C' },
    });
    let output = '';
    let timedOut = false;
    let reaper: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
      // A program in D state can't be reaped: don't wait for it.
      reaper = setTimeout(() => end({ exitCode: null, why: 'timedOut' }), REAP_MS);
    }, timeoutMs);
    const end = (how: Omit<Ended, 'output'>): void => {
      clearTimeout(timer);
      clearTimeout(reaper);
      child.stdout.destroy();
      resolve({ ...how, output });
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(0, MAX_OUTPUT_BYTES);
    });
    // EPIPE of a program that does not read says nothing; its exit code does.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('error', () => end({ exitCode: null, why: 'notStarted' }));
    child.on('close', (code) =>
      end({ exitCode: timedOut ? null : code, why: timedOut ? 'timedOut' : 'exited' }),
    );
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}
