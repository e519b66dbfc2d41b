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
