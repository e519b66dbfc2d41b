import type { Secret } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { PowerDeviceConfig } from '../fencing/power/powerDevice.js';
import { isSameOutlet } from '../fencing/power/powerOutletRules.js';
import { powerSetupProblems } from '../fencing/power/powerSetupRules.js';
import { fromJson } from '../store/store.js';

/** A power device as a person gives it. */
export interface NewPowerDevice {
  agent: string;
  /** JSON object of texts. */
  parametersJson: Secret;
}

/** Ways to cut a host off, and supplies of one host: more than any machine has. */
export const MAX_POWER_LEVELS = 9;
export const MAX_DEVICES_PER_LEVEL = 8;

/** @throws DomainError BAD_INPUT with every problem, never with a value (F28). */
export function checkedDevice(device: NewPowerDevice): PowerDeviceConfig {
  const { config, problems } = readDevice(device);
  if (config === undefined) throw new DomainError('BAD_INPUT', problems.join('; '));
  return config;
}

/** @throws DomainError BAD_INPUT with every problem of every device, never with a value (F28). */
export function checkedLevels(
  levels: readonly (readonly NewPowerDevice[])[],
): PowerDeviceConfig[][] {
  const problems: string[] = [];
  if (levels.length > MAX_POWER_LEVELS) problems.push(`levels: at most ${MAX_POWER_LEVELS}`);
  const read = levels.map((devices, l) => {
    const at = `levels.${l}.devices`;
    if (devices.length === 0 || devices.length > MAX_DEVICES_PER_LEVEL)
      problems.push(`${at}: 1 to ${MAX_DEVICES_PER_LEVEL}`);
    return devices.flatMap((device, i) => {
      const { config, problems: found } = readDevice(device);
      problems.push(...found.map((problem) => `${at}.${i}: ${problem}`));
      return config === undefined ? [] : [config];
    });
  });
  for (const [l, devices] of read.entries()) {
    // safety: one outlet named twice would look like two feeds that are both off.
    if (devices.some((one, i) => devices.slice(i + 1).some((other) => isSameOutlet(one, other))))
      problems.push(`levels.${l}.devices: the same device stands there twice`);
  }
  if (problems.length > 0) throw new DomainError('BAD_INPUT', problems.join('; '));
  return read;
}

function readDevice({ agent, parametersJson }: NewPowerDevice): {
  config?: PowerDeviceConfig;
  problems: string[];
} {
  let parameters: unknown;
  try {
    parameters = fromJson(parametersJson.reveal());
  } catch {
    // The parser's own words would show the text.
    return { problems: ['the parameters must be a JSON object of texts'] };
  }
  const problems = powerSetupProblems(agent, parameters);
  if (problems.length > 0) return { problems };
  return { config: { agent, parameters: parameters as PowerDeviceConfig['parameters'] }, problems };
}
