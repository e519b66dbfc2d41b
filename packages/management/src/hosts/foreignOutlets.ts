import { DomainError } from '@fenceline/protocol';
import type { PowerDeviceConfig } from '../fencing/power/powerDevice.js';
import { isSameOutlet } from '../fencing/power/powerOutletRules.js';
import { powerLevelsOf } from '../fencing/power/powerTopology.js';
import type { Queryable } from '../store/store.js';
import type { LoginVault } from './hostLogins.js';

/**
 * safety: an outlet belongs to one host. Its drill would cut the other one, and so would each fence.
 * @throws DomainError CONFLICT naming level, device and the other host, never a parameter (F28).
 */
export async function refuseForeignOutlets(
  { on, vault }: { on: Queryable; vault: Pick<LoginVault, 'open'> },
  hostUuid: string,
  levels: readonly (readonly PowerDeviceConfig[])[],
): Promise<void> {
  if (levels.length === 0) return;
  const others = await on
    .selectFrom('hosts')
    .select(['uuid', 'name'])
    .where('uuid', '!=', hostUuid)
    .orderBy('name')
    .execute();
  const asked = levels.flatMap((devices, l) =>
    devices.map((device, i) => ({ device, place: `levels.${l}.devices.${i}` })),
  );
  for (const other of others) {
    const theirs = await devicesOf({ on, vault }, other);
    const at = asked.find(({ device }) => theirs.some((config) => isSameOutlet(device, config)));
    if (at === undefined) continue;
    throw new DomainError(
      'CONFLICT',
      `${at.place}: this outlet (${at.device.agent}) is a power device of host ${other.name} ` +
        `already; switched off, it would cut ${other.name}`,
      { hostUuid: other.uuid },
    );
  }
}

async function devicesOf(
  { on, vault }: { on: Queryable; vault: Pick<LoginVault, 'open'> },
  { uuid, name }: { uuid: string; name: string },
): Promise<PowerDeviceConfig[]> {
  try {
    const levels = await powerLevelsOf(on, vault, uuid);
    return levels.flatMap(({ devices }) => devices.map(({ config }) => config));
  } catch {
    // safety: what can't be read may be this very outlet.
    throw new DomainError(
      'CONFLICT',
      `the power devices of host ${name} can't be read any more, so one of them may be this one; ` +
        `take them away first: fenceline host power-clear ${name}`,
      { hostUuid: uuid },
    );
  }
}
