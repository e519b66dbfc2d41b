import type { PowerDeviceConfig, PowerState } from '../power/powerDevice.js';
import { mayBePassed } from '../power/powerSetupRules.js';

export type PowerAction = 'on' | 'off' | 'status';

/**
 * What the program reads on its standard input: `key=value` lines, the action last.
 * safety: a parameter that makes "off" false is never passed, whoever called without a check.
 */
export function powerInput(
  action: PowerAction,
  parameters: PowerDeviceConfig['parameters'],
): string {
  const passed = Object.entries(parameters).filter(([key]) => mayBePassed(key));
  const lines = passed.map(([key, value]) => `${key}=${value}`);
  return [...lines, `action=${action}`, ''].join('\n');
}

/**
 * What a status call means. Fence agents exit with 0 = on and 2 = off.
 * safety: 2 is also what a shell or an argument parser exits with on a mistake, so off needs both:
 * the exit code *and* the word (`Status: OFF`). Anything that is not clear is unknown.
 */
export function powerStateOf(exitCode: number | null, output: string): PowerState {
  const words = new Set(
    [...output.matchAll(/^\s*(?:status\s*:\s*)?(on|off)\s*$/gim)].map((m) => m[1]?.toLowerCase()),
  );
  if (exitCode === 2 && words.size === 1 && words.has('off')) return 'off';
  return exitCode === 0 && !words.has('off') ? 'on' : 'unknown';
}
