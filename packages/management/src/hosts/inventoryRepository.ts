import { Secret, type Random } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { PowerDeviceConfig } from '../fencing/power/powerDevice.js';
import { powerLevelsOf, type PowerLevel } from '../fencing/power/powerTopology.js';
import type { ClustersTable } from '../store/schema.js';
import type { Queryable, Store } from '../store/store.js';
import { refuseForeignOutlets } from './foreignOutlets.js';
import type { LoginVault } from './hostLogins.js';

/** The devices of one level of a host, in order. */
export type NewPowerLevel = readonly PowerDeviceConfig[];

/** Epoch of a run that the ledger still has open on a host. */
export interface OpenRun {
  vmUuid: string;
  epoch: number;
  bootId: string;
}

/** What the host domain reads and writes beside host rows. */
export interface InventoryRepository {
  /** @throws DomainError NOT_FOUND */
  cluster(clusterUuid: string, on?: Queryable): Promise<ClustersTable>;
  powerLevels(hostUuid: string): Promise<PowerLevel[]>;
  /** Replaces all power devices of the host; new ones are not verified. */
  setPowerLevels(hostUuid: string, levels: readonly NewPowerLevel[], on?: Queryable): Promise<void>;
  /** @throws DomainError CONFLICT naming the host that has one of these outlets already. */
  refuseForeignOutlets(
    hostUuid: string,
    levels: readonly NewPowerLevel[],
    on?: Queryable,
  ): Promise<void>;
  /**
   * Marks devices as proven, if they are still those that were tried.
   * @throws DomainError CONFLICT if one was replaced meanwhile.
   */
  setVerified(deviceUuids: readonly string[], verifiedAt: string): Promise<void>;
  openRuns(hostUuid: string, on?: Queryable): Promise<OpenRun[]>;
  /** Weak proofs that closed runs there and that no running VM stands on yet (F41). */
  unusedWords(hostUuid: string, on?: Queryable): Promise<number>;
  /** The highest epoch of each VM that ever had a run there (F11). */
  knownRuns(hostUuid: string): Promise<{ vmUuid: string; epoch: number }[]>;
}

export function makeInventoryRepository(
  store: Store,
  random: Random,
  vault: LoginVault,
): InventoryRepository {
  return {
    async cluster(clusterUuid, on = store.db) {
      const query = on.selectFrom('clusters').selectAll().where('uuid', '=', clusterUuid);
      const row = await query.executeTakeFirst();
      if (row === undefined)
        throw new DomainError('NOT_FOUND', `there is no cluster ${clusterUuid}`, { clusterUuid });
      return row;
    },
    powerLevels: (hostUuid) => powerLevelsOf(store.db, vault, hostUuid),
    async setPowerLevels(hostUuid, levels, on) {
      const rows = await Promise.all(
        levels.flatMap((devices, l) =>
          devices.map(async ({ agent, parameters }, i) => {
            // safety: a new uuid; what was proven of an old device says nothing about this one.
            const uuid = random.uuid();
            const parametersSealed = await vault.seal(uuid, new Secret(JSON.stringify(parameters)));
            const place = { hostUuid, level: l + 1, position: i + 1 };
            return { uuid, ...place, agent, parametersSealed, verifiedAt: null };
          }),
        ),
      );
      const replace = async (tx: Queryable): Promise<void> => {
        await tx.deleteFrom('powerDevices').where('hostUuid', '=', hostUuid).execute();
        if (rows.length > 0) await tx.insertInto('powerDevices').values(rows).execute();
      };
      await (on === undefined ? store.transaction(replace) : replace(on));
    },
    refuseForeignOutlets: (hostUuid, levels, on = store.db) =>
      refuseForeignOutlets({ on, vault }, hostUuid, levels),
    setVerified: (deviceUuids, verifiedAt) =>
      store.transaction(async (tx) => {
        const { numUpdatedRows } = await tx
          .updateTable('powerDevices')
          .set({ verifiedAt })
          .where('uuid', 'in', deviceUuids)
          .executeTakeFirst();
        if (numUpdatedRows !== BigInt(deviceUuids.length))
          throw new DomainError('CONFLICT', 'the power device was replaced while it was tried');
      }),
    openRuns: (hostUuid, on = store.db) =>
      on
        .selectFrom('runs')
        .select(['vmUuid', 'epoch', 'bootId'])
        .where('hostUuid', '=', hostUuid)
        .where('state', '!=', 'closed')
        .orderBy('vmUuid')
        .execute(),
    unusedWords: (hostUuid, on = store.db) => unusedWords(on, hostUuid),
    knownRuns: (hostUuid) => knownRuns(store, hostUuid),
  };
}

function knownRuns({ db }: Store, hostUuid: string): Promise<{ vmUuid: string; epoch: number }[]> {
  return db
    .selectFrom('runs')
    .select(['vmUuid', (eb) => eb.fn.max('epoch').as('epoch')])
    .where('hostUuid', '=', hostUuid)
    .groupBy('vmUuid')
    .orderBy('vmUuid')
    .execute();
}

async function unusedWords(on: Queryable, hostUuid: string): Promise<number> {
  const rows = await on
    .selectFrom('proofs')
    .select('uuid')
    .where('hostUuid', '=', hostUuid)
    .where('kind', 'in', ['operatorConfirmed', 'hostUnreachable'])
    .where('usedAt', 'is', null)
    .where('voidedReason', 'is', null)
    .execute();
  return rows.length;
}
