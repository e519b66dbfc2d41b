import { sql, type Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';
import type { Database } from './schema.js';

/** Every migration, oldest first; a published one never changes. */
export const migrations: Record<string, Migration> = {
  '0001-first': { up: first },
};

type Column = [name: string, type: 'text' | 'integer', constraint?: 'primary' | 'null'];

const inventory: Record<string, Column[]> = {
  meta: [
    ['key', 'text', 'primary'],
    ['value', 'text'],
  ],
  clusters: [
    ['uuid', 'text', 'primary'],
    ['name', 'text'],
    ['createdAt', 'text'],
  ],
  hosts: [
    ['uuid', 'text', 'primary'],
    ['clusterUuid', 'text'],
    ['name', 'text'],
    ['hypervisor', 'text'],
    ['addressesJson', 'text'],
    ['agentPort', 'integer'],
    ['sshPort', 'integer'],
    ['sshUsername', 'text'],
    ['sshHostKeysJson', 'text'],
    ['fencePublicKey', 'text', 'null'],
    ['nextFencePublicKey', 'text', 'null'],
    ['doorPort', 'integer', 'null'],
    ['status', 'text'],
    ['state', 'text'],
    ['liveness', 'text'],
    ['livenessReason', 'text'],
    ['quarantinedUntil', 'text', 'null'],
    ['bootId', 'text', 'null'],
    ['pidNamespace', 'text', 'null'],
    ['agentInstance', 'text', 'null'],
    ['agentVersion', 'text', 'null'],
    ['cpus', 'integer', 'null'],
    ['memoryMiB', 'integer', 'null'],
    ['lastSignOfLifeAt', 'text', 'null'],
    ['reconnectsEnded', 'integer'],
    ['connectFailure', 'text', 'null'],
    ['hookWorking', 'integer', 'null'],
    ['hookWhy', 'text'],
    ['ownerUuid', 'text', 'null'],
    ['ownerEpoch', 'integer'],
    ['createdAt', 'text'],
  ],
  powerDevices: [
    ['uuid', 'text', 'primary'],
    ['hostUuid', 'text'],
    ['level', 'integer'],
    ['position', 'integer'],
    ['agent', 'text'],
    ['parametersSealed', 'text'],
    ['verifiedAt', 'text', 'null'],
  ],
  orderTokens: [
    ['id', 'integer', 'primary'],
    ['hostUuid', 'text'],
    ['sealed', 'text'],
    ['state', 'text'],
  ],
  hostLogins: [
    ['hostUuid', 'text', 'primary'],
    ['kind', 'text'],
    ['sealed', 'text'],
  ],
  powerOrders: [
    ['uuid', 'text', 'primary'],
    ['hostUuid', 'text'],
    ['deviceUuid', 'text'],
    ['orderedAt', 'text'],
    ['resolvedAt', 'text', 'null'],
    ['result', 'text', 'null'],
  ],
  vms: [
    ['uuid', 'text', 'primary'],
    ['clusterUuid', 'text'],
    ['name', 'text'],
    ['hypervisor', 'text'],
    ['state', 'text'],
    ['hostUuid', 'text', 'null'],
    ['lastHostUuid', 'text', 'null'],
    ['domainXml', 'text'],
    ['disksJson', 'text'],
    ['memoryMiB', 'integer'],
    ['cpus', 'integer'],
    ['level', 'text'],
    ['priority', 'text'],
    ['stoppedByPerson', 'integer'],
    ['epoch', 'integer'],
    ['createdAt', 'text'],
  ],
};

const work: Record<string, Column[]> = {
  runs: [
    ['vmUuid', 'text'],
    ['epoch', 'integer'],
    ['hostUuid', 'text'],
    ['bootId', 'text'],
    ['mark', 'integer', 'null'],
    ['pidNamespace', 'text', 'null'],
    ['state', 'text'],
    ['openedAt', 'text'],
    ['closedAt', 'text', 'null'],
    ['proofUuid', 'text', 'null'],
    ['taskUuid', 'text', 'null'],
  ],
  proofs: [
    ['sequence', 'integer', 'primary'],
    ['uuid', 'text'],
    ['taskUuid', 'text', 'null'],
    ['kind', 'text'],
    ['vmUuid', 'text'],
    ['epoch', 'integer'],
    ['hostUuid', 'text'],
    ['bootId', 'text'],
    ['source', 'text'],
    ['factsJson', 'text'],
    ['createdAt', 'text'],
    ['expiresAt', 'text', 'null'],
    ['usedAt', 'text', 'null'],
    ['voidedReason', 'text', 'null'],
    ['previousDigest', 'text'],
    ['digest', 'text'],
  ],
  starts: [
    ['sequence', 'integer', 'primary'],
    ['taskUuid', 'text', 'null'],
    ['vmUuid', 'text'],
    ['epoch', 'integer'],
    ['hostUuid', 'text'],
    ['bootId', 'text'],
    ['openedAt', 'text'],
    ['standsOn', 'text'],
    ['previousDigest', 'text'],
    ['digest', 'text'],
  ],
  haTasks: [
    ['uuid', 'text', 'primary'],
    ['vmUuid', 'text'],
    ['taskToken', 'integer'],
    ['ownerUuid', 'text'],
    ['reason', 'text'],
    ['judger', 'text'],
    ['siblingHostUuidsJson', 'text'],
    ['softAvoidHostUuidsJson', 'text'],
    ['preferredHostUuid', 'text', 'null'],
    ['state', 'text'],
    ['attempt', 'integer'],
    ['waitsFor', 'text', 'null'],
    ['waysOutJson', 'text'],
    ['nextTryAt', 'text', 'null'],
    ['destinationHostUuid', 'text', 'null'],
    ['createdAt', 'text'],
    ['endedAt', 'text', 'null'],
  ],
  haTaskSteps: [
    ['id', 'integer', 'primary'],
    ['taskUuid', 'text'],
    ['attempt', 'integer'],
    ['name', 'text'],
    ['result', 'text'],
    ['startedAt', 'text'],
    ['endedAt', 'text', 'null'],
    ['durationMs', 'integer', 'null'],
    ['detailJson', 'text'],
  ],
  history: [
    ['uuid', 'text', 'primary'],
    ['taskUuid', 'text'],
    ['attempt', 'integer'],
    ['vmUuid', 'text'],
    ['reason', 'text'],
    ['beganAt', 'text'],
    ['endedAt', 'text', 'null'],
    ['success', 'integer', 'null'],
    ['destinationHostUuid', 'text', 'null'],
    ['failure', 'text', 'null'],
    ['proofDigestsJson', 'text'],
    ['stepsJson', 'text'],
  ],
};

const around: Record<string, Column[]> = {
  events: [
    ['id', 'integer', 'primary'],
    ['at', 'text'],
    ['kind', 'text'],
    ['severity', 'text'],
    ['hostUuid', 'text', 'null'],
    ['vmUuid', 'text', 'null'],
    ['taskUuid', 'text', 'null'],
    ['text', 'text'],
    ['factsJson', 'text'],
  ],
  settings: [
    ['clusterUuid', 'text'],
    ['name', 'text'],
    ['valueJson', 'text'],
    ['changedAt', 'text'],
    ['changedBy', 'text'],
  ],
  tokens: [
    ['uuid', 'text', 'primary'],
    ['name', 'text'],
    ['role', 'text'],
    ['tokenSha256', 'text'],
    ['createdAt', 'text'],
  ],
  audit: [
    ['id', 'integer', 'primary'],
    ['at', 'text'],
    ['actor', 'text'],
    ['role', 'text'],
    ['action', 'text'],
    ['target', 'text'],
    ['reason', 'text', 'null'],
    ['factsJson', 'text'],
  ],
};

async function first(db: Kysely<Database>): Promise<void> {
  for (const [table, columns] of Object.entries({ ...inventory, ...work, ...around }))
    await createTable(db, table, columns);
  const unique = (name: string, on: string): Promise<unknown> =>
    sql.raw(`create unique index ${name} on ${on}`).execute(db);
  await unique('power_devices_key', '"powerDevices" ("hostUuid", "level", "position")');
  await unique('settings_key', 'settings ("clusterUuid", "name")');
  await unique('runs_key', 'runs ("vmUuid", "epoch")');
  await unique('starts_run', 'starts ("vmUuid", "epoch")');
  await unique('proofs_uuid', 'proofs ("uuid")');
  await unique('clusters_name', 'clusters ("name")');
  await unique('hosts_name', 'hosts ("clusterUuid", "name")');
  await unique('tokens_sha', 'tokens ("tokenSha256")');
  await unique('history_attempt', 'history ("taskUuid", "attempt")');
  // safety: the database itself refuses a second open task for one VM (F11).
  await unique('ha_tasks_open', '"haTasks" ("vmUuid") where "endedAt" is null');
  await db.schema.createIndex('tokens_host').on('orderTokens').column('hostUuid').execute();
  await db.schema.createIndex('runs_host').on('runs').columns(['hostUuid', 'state']).execute();
  await db.schema.createIndex('events_task').on('events').column('taskUuid').execute();
  await db.schema.createIndex('steps_task').on('haTaskSteps').column('taskUuid').execute();
}

async function createTable(
  db: Kysely<Database>,
  table: string,
  columns: readonly Column[],
): Promise<void> {
  let builder = db.schema.createTable(table);
  for (const [name, type, constraint] of columns)
    builder = builder.addColumn(name, type, (column) => {
      if (constraint === 'primary') return column.primaryKey().notNull();
      return constraint === 'null' ? column : column.notNull();
    });
  await builder.execute();
}
