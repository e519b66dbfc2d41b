import type { HostsTable } from '../store/schema.js';
import { fromJson, type Store } from '../store/store.js';
import type { HostDirectory, HostInfo } from './contracts.js';

export function makeHostDirectory(store: Store): HostDirectory {
  return {
    find: async (hostUuid) => {
      const row = await store.db
        .selectFrom('hosts')
        .selectAll()
        .where('uuid', '=', hostUuid)
        .executeTakeFirst();
      return row === undefined ? undefined : hostInfoOf(row);
    },
    all: async () => {
      const rows = await store.db.selectFrom('hosts').selectAll().orderBy('name').execute();
      return rows.map(hostInfoOf);
    },
  };
}

function hostInfoOf(row: HostsTable): HostInfo {
  return {
    uuid: row.uuid,
    name: row.name,
    clusterUuid: row.clusterUuid,
    hypervisor: row.hypervisor,
    addresses: fromJson<string[]>(row.addressesJson),
    agentPort: row.agentPort,
    sshPort: row.sshPort,
    sshUsername: row.sshUsername,
    sshHostKeys: fromJson<string[]>(row.sshHostKeysJson),
    status: row.status,
    state: row.state,
    liveness: row.liveness,
    quarantinedUntil: row.quarantinedUntil,
    agentVersion: row.agentVersion,
    hookWorking: row.hookWorking === 1,
    cpus: row.cpus,
    memoryMiB: row.memoryMiB,
  };
}
