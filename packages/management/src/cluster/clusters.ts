import { isoNow, type Clock, type Random } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { ClustersTable } from '../store/schema.js';
import type { Store } from '../store/store.js';

export const DEFAULT_CLUSTER = 'default';

export interface ClustersDeps {
  store: Store;
  clock: Clock;
  random: Random;
}

/** Makes the cluster that hosts belong to if nothing else is said; harmless to repeat. */
export async function ensureDefaultCluster(deps: ClustersDeps): Promise<ClustersTable> {
  const known = await deps.store.db
    .selectFrom('clusters')
    .selectAll()
    .where('name', '=', DEFAULT_CLUSTER)
    .executeTakeFirst();
  return known ?? createCluster(deps, DEFAULT_CLUSTER);
}

/** @throws DomainError CONFLICT if the name is taken. */
export async function createCluster(deps: ClustersDeps, name: string): Promise<ClustersTable> {
  const row = { uuid: deps.random.uuid(), name, createdAt: isoNow(deps.clock) };
  await deps.store.transaction(async (tx) => {
    const taken = await tx
      .selectFrom('clusters')
      .select('uuid')
      .where('name', '=', name)
      .executeTakeFirst();
    if (taken !== undefined)
      throw new DomainError('CONFLICT', `a cluster named ${name} exists already`);
    await tx.insertInto('clusters').values(row).execute();
  });
  return row;
}
