import { messageOf, type Logger } from '@fenceline/common';
import type { LoginVault } from '../../hosts/hostLogins.js';
import type { Store } from '../../store/store.js';
import type { Events } from '../../telemetry/events.js';
import { powerLevelsOf, setupProblems } from './powerTopology.js';

export interface RefusedPowerDeps {
  store: Store;
  log: Logger;
  events: Events;
  loginVault: Pick<LoginVault, 'open'>;
}

/**
 * At each start of the server: a stored power device whose set-up is not allowed (any more) proves
 * nothing from now on, and is told of. Its host shows it as not verified until it is set anew.
 */
export async function dropRefusedPower(deps: RefusedPowerDeps): Promise<void> {
  const hosts = await deps.store.db.selectFrom('hosts').select(['uuid', 'name']).execute();
  for (const host of hosts)
    await dropRefusedOf(deps, host).catch((thrown: unknown) =>
      deps.log.error('power devices could not be checked', {
        hostUuid: host.uuid,
        error: messageOf(thrown),
      }),
    );
}

async function dropRefusedOf(
  { store, events, loginVault }: RefusedPowerDeps,
  { uuid: hostUuid, name }: { uuid: string; name: string },
): Promise<void> {
  const levels = await powerLevelsOf(store.db, loginVault, hostUuid);
  for (const device of levels.flatMap(({ devices }) => devices)) {
    const problems = setupProblems(device);
    if (problems.length === 0) continue;
    await store.transaction(async (tx) => {
      await tx
        .updateTable('powerDevices')
        .set({ verifiedAt: null })
        .where('uuid', '=', device.uuid)
        .execute();
      const text = `a power device of host ${name} is not used: ${problems.join('; ')}; set it anew`;
      await events.record({ kind: 'host.powerRefused', severity: 'critical', hostUuid, text }, tx);
    });
  }
}
