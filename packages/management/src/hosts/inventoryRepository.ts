import { DomainError } from '@fenceline/protocol';
import type { PowerDeviceConfig } from '../fencing/powerDevice.js';
import type { ClustersTable } from '../store/schema.js';
import { fromJson, type Queryable, type Store } from '../store/store.js';

/** The power device of one host, as stored. */
export interface StoredPowerDevice {
  config: PowerDeviceConfig;
  verifiedAt: string | null;
}

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
  powerDevice(hostUuid: string): Promise<StoredPowerDevice | undefined>;
  /** Replaces the device; a new one is not verified. */
  setPowerDevice(hostUuid: string, config: PowerDeviceConfig, on?: Queryable): Promise<void>;
  removePowerDevice(hostUuid: string, on?: Queryable): Promise<void>;
  /**
   * Marks the device as proven, if it is still the one that was tried.
   * @throws DomainError CONFLICT if it was replaced meanwhile.
   */
  setVerified(hostUuid: string, tried: PowerDeviceConfig, verifiedAt: string): Promise<void>;
  openRuns(hostUuid: string, on?: Queryable): Promise<OpenRun[]>;
  /** Words of a person that closed runs there and that no running VM stands on yet (F41). */
  unusedWords(hostUuid: string, on?: Queryable): Promise<number>;
  /** The highest epoch of each VM that ever had a run there (F11). */
  knownRuns(hostUuid: string): Promise<{ vmUuid: string; epoch: number }[]>;
}

export function makeInventoryRepository(store: Store): InventoryRepository {
  return {
    async cluster(clusterUuid, on = store.db) {
      const query = on.selectFrom('clusters').selectAll().where('uuid', '=', clusterUuid);
      const row = await query.executeTakeFirst();
      if (row === undefined)
        throw new DomainError('NOT_FOUND', `there is no cluster ${clusterUuid}`, { clusterUuid });
      return row;
    },
    async powerDevice(hostUuid) {
      const query = store.db.selectFrom('powerDevices').selectAll();
      const row = await query.where('hostUuid', '=', hostUuid).executeTakeFirst();
      if (row === undefined) return undefined;
      const parameters = fromJson<Record<string, string>>(row.parametersJson);
      return { config: { agent: row.agent, parameters }, verifiedAt: row.verifiedAt };
    },
    async setPowerDevice(hostUuid, { agent, parameters }, on = store.db) {
      // safety: what was proven of the old device says nothing about this one.
      const row = { agent, parametersJson: JSON.stringify(parameters), verifiedAt: null };
      await on
        .insertInto('powerDevices')
        .values({ hostUuid, ...row })
        .onConflict((conflict) => conflict.column('hostUuid').doUpdateSet(row))
        .execute();
    },
    async removePowerDevice(hostUuid, on = store.db) {
      await on.deleteFrom('powerDevices').where('hostUuid', '=', hostUuid).execute();
    },
    async setVerified(hostUuid, tried, verifiedAt) {
      const { numUpdatedRows } = await store.db
        .updateTable('powerDevices')
        .set({ verifiedAt })
        .where('hostUuid', '=', hostUuid)
        .where('agent', '=', tried.agent)
        .where('parametersJson', '=', JSON.stringify(tried.parameters))
        .executeTakeFirst();
      if (numUpdatedRows === 0n)
        throw new DomainError('CONFLICT', 'the power device was replaced while it was tried');
    },
    openRuns: (hostUuid, on = store.db) =>
      on
        .selectFrom('runs')
        .select(['vmUuid', 'epoch', 'bootId'])
        .where('hostUuid', '=', hostUuid)
        .where('state', '!=', 'closed')
        .orderBy('vmUuid')
        .execute(),
    unusedWords: (hostUuid, on = store.db) => unusedWords(on, hostUuid),
    knownRuns: (hostUuid) =>
      store.db
        .selectFrom('runs')
        .select(['vmUuid', (eb) => eb.fn.max('epoch').as('epoch')])
        .where('hostUuid', '=', hostUuid)
        .groupBy('vmUuid')
        .orderBy('vmUuid')
        .execute(),
  };
}

async function unusedWords(on: Queryable, hostUuid: string): Promise<number> {
  const rows = await on
    .selectFrom('proofs')
    .select('uuid')
    .where('hostUuid', '=', hostUuid)
    .where('kind', '=', 'operatorConfirmed')
    .where('usedAt', 'is', null)
    .where('voidedReason', 'is', null)
    .execute();
  return rows.length;
}
