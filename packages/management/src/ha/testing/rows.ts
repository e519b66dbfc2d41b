import type { DiskRef } from '@fenceline/protocol';
import type { HostsTable, VmsTable } from '../../store/schema.js';

export const VM = 'a0000000-0000-4000-8000-000000000001';
export const CLUSTER = 'c0000000-0000-4000-8000-000000000001';

export function hostUuid(n: number): string {
  return `b0000000-0000-4000-8000-00000000000${n}`;
}

/** A connected, enabled host with room. */
export function hostRow(uuid: string, name: string): HostsTable {
  return {
    uuid,
    clusterUuid: CLUSTER,
    name,
    hypervisor: 'KVM',
    addressesJson: JSON.stringify([`192.0.2.${uuid.slice(-1)}`]),
    agentPort: 7_070,
    sshPort: 22,
    sshUsername: 'root',
    sshHostKeysJson: '[]',
    fencePublicKey: null,
    nextFencePublicKey: null,
    doorPort: null,
    status: 'Connected',
    state: 'Enabled',
    liveness: 'online',
    livenessReason: '',
    reconnectsEnded: 0,
    connectFailure: null,
    hookWorking: 1,
    hookWhy: '',
    quarantinedUntil: null,
    bootId: null,
    pidNamespace: null,
    agentInstance: null,
    agentVersion: '0.1.0',
    cpus: 4,
    memoryMiB: 16_384,
    lastSignOfLifeAt: null,
    ownerUuid: null,
    ownerEpoch: 1,
    createdAt: '2026-01-01T00:00:00.000Z',
  };
}

/** A protected VM that never ran. */
export function vmRow(disks: readonly DiskRef[], change: Partial<VmsTable> = {}): VmsTable {
  return {
    uuid: VM,
    clusterUuid: CLUSTER,
    name: 'vm1',
    hypervisor: 'KVM',
    state: 'Running',
    hostUuid: hostUuid(1),
    lastHostUuid: null,
    domainXml: '<domain/>',
    disksJson: JSON.stringify(disks),
    memoryMiB: 512,
    cpus: 1,
    level: 'onHostFailure',
    priority: 'normal',
    stoppedByPerson: 0,
    epoch: 0,
    createdAt: '2026-01-01T00:00:00.000Z',
    ...change,
  };
}
