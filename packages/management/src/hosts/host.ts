import type { HostsTable, HostState, HostStatus, Liveness } from '../store/schema.js';
import { fromJson } from '../store/store.js';
import type { AgentAddress } from './agentGateway.js';

/** A KVM machine that runs an agent, as the store has it. */
export interface Host {
  uuid: string;
  clusterUuid: string;
  name: string;
  hypervisor: string;
  /** At least one; the first is the one to dial. */
  addresses: readonly string[];
  agentPort: number;
  sshPort: number;
  sshUsername: string;
  /** `type base64`, pinned at the first connect; empty before. */
  sshHostKeys: readonly string[];
  fencePublicKey: string | null;
  nextFencePublicKey: string | null;
  /** TCP port of its second way in (F27); null: it has none. */
  doorPort: number | null;
  status: HostStatus;
  state: HostState;
  liveness: Liveness;
  livenessReason: string;
  quarantinedUntil: string | null;
  bootId: string | null;
  pidNamespace: string | null;
  agentInstance: string | null;
  agentVersion: string | null;
  cpus: number | null;
  memoryMiB: number | null;
  lastSignOfLifeAt: string | null;
  reconnectsEnded: number;
  connectFailure: string | null;
  /** 1: its libvirt hook works; 0: it does not; null: it was never told. */
  hookWorking: number | null;
  hookWhy: string;
  ownerUuid: string | null;
  ownerEpoch: number;
  createdAt: string;
}

/** What a change of a host row may set; status, state and liveness have doors of their own. */
export type HostFields = Partial<
  Pick<
    Host,
    | 'addresses'
    | 'sshHostKeys'
    | 'fencePublicKey'
    | 'nextFencePublicKey'
    | 'doorPort'
    | 'bootId'
    | 'pidNamespace'
    | 'agentInstance'
    | 'agentVersion'
    | 'cpus'
    | 'memoryMiB'
    | 'lastSignOfLifeAt'
    | 'reconnectsEnded'
    | 'connectFailure'
    | 'hookWorking'
    | 'hookWhy'
    | 'quarantinedUntil'
  >
>;

/** A host that was added but never connected has no boot id: nothing can run there by our word. */
export function wasConnected(host: Pick<Host, 'bootId'>): boolean {
  return host.bootId !== null;
}

export function agentOf(host: Pick<Host, 'uuid' | 'addresses' | 'agentPort'>): AgentAddress {
  return { hostUuid: host.uuid, address: host.addresses[0] ?? '', port: host.agentPort };
}

export function hostOfRow({ addressesJson, sshHostKeysJson, ...row }: HostsTable): Host {
  return {
    ...row,
    addresses: fromJson<string[]>(addressesJson),
    sshHostKeys: fromJson<string[]>(sshHostKeysJson),
  };
}

export function rowOfHost({ addresses, sshHostKeys, ...host }: Host): HostsTable {
  return {
    ...host,
    addressesJson: JSON.stringify(addresses),
    sshHostKeysJson: JSON.stringify(sshHostKeys),
  };
}

/** The columns of the fields that are given. */
export function columnsOf({ addresses, sshHostKeys, ...plain }: HostFields): Partial<HostsTable> {
  return {
    ...plain,
    ...(addresses === undefined ? {} : { addressesJson: JSON.stringify(addresses) }),
    ...(sshHostKeys === undefined ? {} : { sshHostKeysJson: JSON.stringify(sshHostKeys) }),
  };
}
