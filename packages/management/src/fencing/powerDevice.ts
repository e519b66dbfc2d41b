/** How one host's power is switched: a fence-agents program and its parameters. */
export interface PowerDeviceConfig {
  /** A name in PATH (`fence_ipmilan`) or an absolute path. */
  agent: string;
  /** Given to the program on standard input, never in its arguments; some are secret. */
  parameters: Readonly<Record<string, string>>;
}

export type PowerState = 'on' | 'off' | 'unknown';

/** Switches and reads the power of one host. Every call ends within `timeoutMs`. */
export interface PowerDevice {
  /** Resolves when the device acknowledged. Proves nothing. @throws Error with the reason. */
  off(config: PowerDeviceConfig, limit: { timeoutMs: number }): Promise<void>;
  /** Resolves when the device acknowledged. @throws Error with the reason. */
  on(config: PowerDeviceConfig, limit: { timeoutMs: number }): Promise<void>;
  /** What the device reads now; anything but a listed word or exit code is `unknown`. */
  status(config: PowerDeviceConfig, limit: { timeoutMs: number }): Promise<PowerState>;
}

export type PowerFailure = 'notStarted' | 'timedOut' | 'failed' | 'badParameters';

/** The device's program did not do what it was asked. Never carries its output or parameters. */
export class PowerDeviceError extends Error {
  constructor(
    readonly failure: PowerFailure,
    message: string,
  ) {
    super(message);
    this.name = 'PowerDeviceError';
  }
}

const PROGRAM = /^(?:\/(?:[A-Za-z0-9_.+-]+\/)*)?[A-Za-z0-9_.+-]+$/;
const KEY = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const MAX_PARAMETERS = 64;
const MAX_VALUE_CHARS = 16_384;
/** Ours to say; a stored one could turn a status call into a reboot. */
const RESERVED = new Set(['action', 'option']);

/** Everything wrong with a device's set-up, as sentences without any value. */
export function powerSetupProblems(agent: string, parameters: unknown): string[] {
  const problems: string[] = [];
  if (!PROGRAM.test(agent) || agent.split('/').includes('..'))
    problems.push('the power program must be a plain name in PATH or an absolute path');
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters))
    return [...problems, 'the parameters must be a JSON object of texts'];
  const entries = Object.entries(parameters);
  if (entries.length > MAX_PARAMETERS) problems.push(`more than ${MAX_PARAMETERS} parameters`);
  return [...problems, ...entries.flatMap(([key, value]) => parameterProblem(key, value))];
}

function parameterProblem(key: string, value: unknown): string[] {
  if (!KEY.test(key)) return ['a parameter name has characters that are not allowed'];
  if (RESERVED.has(key)) return [`the parameter ${key} is set by the server`];
  if (typeof value !== 'string') return [`the parameter ${key} must be a text`];
  // safety: a cycle is an "off" that nobody can read back.
  if (key === 'method' && value.trim().toLowerCase() === 'cycle')
    return ['the parameter method must not be cycle: it switches on again by itself'];
  // safety: a line break in a value would be a second parameter, such as another action.
  const broken = /\p{Cc}/u.test(value);
  if (broken || value.length > MAX_VALUE_CHARS)
    return [`the parameter ${key} has a line break or is too long`];
  return [];
}
