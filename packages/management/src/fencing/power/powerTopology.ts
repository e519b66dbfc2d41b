import type { LoginVault } from '../../hosts/hostLogins.js';
import type { Queryable } from '../../store/store.js';
import { fromJson } from '../../store/store.js';
import type { PowerDeviceConfig } from './powerDevice.js';
import { powerSetupProblems } from './powerSetupRules.js';

/** One power device of a host, as stored. */
export interface StoredPowerDevice {
  uuid: string;
  config: PowerDeviceConfig;
  /** When it was last seen to feed exactly this host; null: never. */
  verifiedAt: string | null;
}

/**
 * One way to cut a host off: *every* device of it has to be off at one moment. A level with two
 * devices is a host with two supplies; two levels are two ways, of which the lower is tried first.
 */
export interface PowerLevel {
  /** From 1, without gaps. */
  level: number;
  /** At least one. */
  devices: readonly StoredPowerDevice[];
}

/**
 * The levels of a host in the order in which they are tried; empty: it has no power device.
 * @throws Error if the parameters of one can't be opened any more.
 */
export async function powerLevelsOf(
  on: Queryable,
  vault: Pick<LoginVault, 'open'>,
  hostUuid: string,
): Promise<PowerLevel[]> {
  const rows = await on
    .selectFrom('powerDevices')
    .selectAll()
    .where('hostUuid', '=', hostUuid)
    .orderBy('level')
    .orderBy('position')
    .execute();
  const devices = await Promise.all(
    rows.map(async ({ uuid, level, agent, parametersSealed, verifiedAt }) => {
      const opened = await vault.open(uuid, parametersSealed);
      const parameters = fromJson<Record<string, string>>(opened.reveal());
      return { level, device: { uuid, config: { agent, parameters }, verifiedAt } };
    }),
  );
  const numbers = [...new Set(rows.map(({ level }) => level))];
  return numbers.map((level) => ({
    level,
    devices: devices.filter((one) => one.level === level).map(({ device }) => device),
  }));
}

/** Why a stored device must not be used: what is allowed may be less than when it was stored. */
export function setupProblems({ config }: Pick<StoredPowerDevice, 'config'>): string[] {
  return powerSetupProblems(config.agent, config.parameters);
}

/** It may be used for proof: verified, and nothing is wrong with any of its devices. */
export function isUsable(level: PowerLevel): boolean {
  return isVerified(level) && level.devices.every((device) => setupProblems(device).length === 0);
}

/** Every device of it was seen to feed its host. */
export function isVerified({ devices }: { devices: readonly { verifiedAt: string | null }[] }) {
  return devices.length > 0 && devices.every(({ verifiedAt }) => verifiedAt !== null);
}
