import type { Store } from '../../src/store/store.js';

/** Ids of what `seed` puts into the store. */
export const ids = {
  cluster: '00000000-0000-4000-8000-0000000000c1',
  h1: '00000000-0000-4000-8000-000000000001',
  h2: '00000000-0000-4000-8000-000000000002',
  h3: '00000000-0000-4000-8000-000000000003',
  web1: '00000000-0000-4000-8000-0000000000a1',
  db1: '00000000-0000-4000-8000-0000000000a2',
  task: '00000000-0000-4000-8000-0000000000b1',
  endedTask: '00000000-0000-4000-8000-0000000000b2',
  proof: '00000000-0000-4000-8000-0000000000d1',
  attempt: '00000000-0000-4000-8000-0000000000e1',
  owner: '00000000-0000-4000-8000-0000000000f1',
} as const;

export const POWER_CANARY = 'canary-power-secret-4711';

const at = '2026-01-01T00:00:00.000Z';

/** A small site: three hosts, two VMs, one HA task that waits and one that is done. */
export async function seed(store: Store): Promise<void> {
  await seedInventory(store);
  await seedTasks(store);
  await seedRecords(store);
}

export const hostRow = (uuid: string, name: string) => ({
  uuid,
  clusterUuid: ids.cluster,
  name,
  hypervisor: 'KVM',
  addressesJson: JSON.stringify(['192.0.2.11']),
  agentPort: 7070,
  sshPort: 22,
  sshUsername: 'root',
  sshHostKeysJson: '[]',
  fencePublicKey: null,
  nextFencePublicKey: null,
  status: 'Connected' as const,
  state: 'Enabled' as const,
  liveness: 'online' as const,
  livenessReason: '',
  reconnectsEnded: 0,
  connectFailure: null,
  hookWorking: 1,
  hookWhy: '',
  quarantinedUntil: null,
  bootId: 'boot-1',
  agentInstance: 'instance-1',
  agentVersion: '0.1.0',
  cpus: 8,
  memoryMiB: 16_384,
  lastSignOfLifeAt: at,
  ownerUuid: ids.owner,
  ownerEpoch: 1,
  createdAt: at,
});

export const vmRow = (uuid: string, name: string) => ({
  uuid,
  clusterUuid: ids.cluster,
  name,
  hypervisor: 'KVM',
  state: 'Running',
  hostUuid: ids.h1,
  lastHostUuid: null,
  domainXml: '<domain/>',
  disksJson: JSON.stringify([{ kind: 'file', source: '/vms/disk.img' }]),
  memoryMiB: 512,
  cpus: 1,
  level: 'onHostFailure' as const,
  priority: 'normal' as const,
  stoppedByPerson: 0,
  epoch: 3,
  createdAt: at,
});

async function seedInventory({ db }: Store): Promise<void> {
  await db
    .insertInto('clusters')
    .values({ uuid: ids.cluster, name: 'default', createdAt: at })
    .execute();
  await db
    .insertInto('hosts')
    .values([hostRow(ids.h1, 'h1'), hostRow(ids.h2, 'h2'), hostRow(ids.h3, 'h3')])
    .execute();
  await db
    .insertInto('powerDevices')
    .values({
      uuid: '00000000-0000-4000-8000-0000000000f9',
      hostUuid: ids.h1,
      level: 1,
      position: 1,
      agent: 'fence_ipmilan',
      parametersSealed: JSON.stringify({ password: POWER_CANARY }),
      verifiedAt: at,
    })
    .execute();
  await db
    .insertInto('vms')
    .values([vmRow(ids.web1, 'web1'), { ...vmRow(ids.db1, 'db1'), level: 'none' }])
    .execute();
  const run = { vmUuid: ids.web1, hostUuid: ids.h1, bootId: 'boot-1', openedAt: at };
  await db
    .insertInto('runs')
    .values([
      { ...run, epoch: 2, hostUuid: ids.h2, state: 'closed', closedAt: at, proofUuid: ids.proof },
      { ...run, epoch: 3, state: 'running', closedAt: null, proofUuid: null },
    ])
    .execute();
}

const taskRow = {
  vmUuid: ids.web1,
  taskToken: 1,
  ownerUuid: ids.owner,
  reason: 'h2 is silent',
  judger: 'host-failure' as const,
  siblingHostUuidsJson: '[]',
  softAvoidHostUuidsJson: '[]',
  attempt: 1,
  nextTryAt: null,
  destinationHostUuid: null,
  createdAt: at,
};

async function seedTasks({ db }: Store): Promise<void> {
  await db
    .insertInto('haTasks')
    .values([
      {
        ...taskRow,
        uuid: ids.task,
        state: 'waiting',
        waitsFor: 'no proof that the run on h2 is over',
        waysOutJson: JSON.stringify(['fenceline host confirm-dead h2']),
        nextTryAt: '2026-01-01T00:02:00.000Z',
        endedAt: null,
      },
      {
        ...taskRow,
        uuid: ids.endedTask,
        state: 'done',
        waitsFor: null,
        waysOutJson: '[]',
        destinationHostUuid: ids.h1,
        endedAt: '2026-01-01T00:00:09.000Z',
      },
    ])
    .execute();
}

async function seedRecords({ db }: Store): Promise<void> {
  await db
    .insertInto('haTaskSteps')
    .values({
      taskUuid: ids.endedTask,
      attempt: 1,
      name: 'ha-pre-fence-vm',
      result: 'done',
      startedAt: at,
      endedAt: '2026-01-01T00:00:01.000Z',
      durationMs: 1_000,
      detailJson: JSON.stringify({ peers: 2 }),
    })
    .execute();
  await db
    .insertInto('proofs')
    .values({
      sequence: 1,
      uuid: ids.proof,
      taskUuid: ids.endedTask,
      kind: 'peerConfirmedDead',
      vmUuid: ids.web1,
      epoch: 2,
      hostUuid: ids.h2,
      bootId: 'boot-1',
      source: ids.h3,
      factsJson: JSON.stringify({ outcome: 'confirmedDead' }),
      createdAt: at,
      expiresAt: null,
      voidedReason: null,
      previousDigest: '0'.repeat(64),
      digest: 'd'.repeat(64),
    })
    .execute();
  await db
    .insertInto('history')
    .values({
      uuid: ids.attempt,
      taskUuid: ids.endedTask,
      attempt: 1,
      vmUuid: ids.web1,
      reason: 'h2 is silent',
      beganAt: at,
      endedAt: '2026-01-01T00:00:09.000Z',
      success: 1,
      destinationHostUuid: ids.h1,
      failure: null,
      proofDigestsJson: JSON.stringify(['d'.repeat(64)]),
      stepsJson: '[]',
    })
    .execute();
}
