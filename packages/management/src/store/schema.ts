import type {
  HaLevel,
  HostState,
  HostStatus,
  Liveness,
  Priority,
  RunState,
  TaskState,
} from '@fenceline/protocol';
import type {
  HostLoginsTable,
  OrderTokensTable,
  PowerDevicesTable,
  PowerOrdersTable,
} from './fencingTables.js';
import type { Generated } from 'kysely';

/** The API speaks of the same states. */
export type { HaLevel, HostState, HostStatus, Liveness, Priority, RunState, TaskState };

export const PROOF_KINDS = [
  'peerConfirmedDead',
  'vmNotRunning',
  'hostRebooted',
  'powerOff',
  'cleanStop',
  'neverBegan',
  'operatorConfirmed',
  'hostUnreachable',
] as const;
export type ProofKind = (typeof PROOF_KINDS)[number];

export const JUDGERS = ['host-failure', 'vm-crash', 'manual'] as const;
export type JudgerName = (typeof JUDGERS)[number];

/** Times are ISO 8601 UTC texts, flags 0 or 1, columns ending in `Json` hold JSON. */
export interface MetaTable {
  key: string;
  value: string;
}

export interface ClustersTable {
  uuid: string;
  name: string;
  createdAt: string;
}

export interface HostsTable {
  uuid: string;
  clusterUuid: string;
  name: string;
  /** `KVM`; another hypervisor's VMs are never fenced by a peer (F4). */
  hypervisor: string;
  /** First address is the one to dial; all others are alternatives. JSON array. */
  addressesJson: string;
  agentPort: number;
  sshPort: number;
  sshUsername: string;
  /** Pinned at the first connect. JSON array. */
  sshHostKeysJson: string;
  fencePublicKey: string | null;
  /** Of a key that is to follow: its siblings let both in until the host uses it (F29). */
  nextFencePublicKey: string | null;
  /** TCP port of its second way in (F27); null: it has none. */
  doorPort: number | null;
  status: HostStatus;
  state: HostState;
  liveness: Liveness;
  livenessReason: string;
  quarantinedUntil: string | null;
  bootId: string | null;
  /** Of that boot, as its own agent sees it: what a container would show is another one. */
  pidNamespace: string | null;
  agentInstance: string | null;
  agentVersion: string | null;
  cpus: number | null;
  memoryMiB: number | null;
  /** The last sign of life that the server knows of, wall time. */
  lastSignOfLifeAt: string | null;
  /** Reconnects that have ended, well or not: whoever waits for one sees the number grow. */
  reconnectsEnded: number;
  /** Why the last connect or reconnect failed; null if it did not. */
  connectFailure: string | null;
  /** 1: its libvirt hook works (F34); 0: it does not; null: it was never told. */
  hookWorking: number | null;
  /** Why it does not; empty if it does. */
  hookWhy: string;
  /** Which management node owns the host, and how often the owner has changed. */
  ownerUuid: string | null;
  ownerEpoch: number;
  createdAt: string;
}

export interface VmsTable {
  uuid: string;
  clusterUuid: string;
  name: string;
  hypervisor: string;
  state: string;
  /** For display and compatibility only; the ledger of runs decides (F33). */
  hostUuid: string | null;
  lastHostUuid: string | null;
  domainXml: string;
  disksJson: string;
  memoryMiB: number;
  cpus: number;
  level: HaLevel;
  priority: Priority;
  /** 1 after a person stopped it through Fenceline: HA leaves it alone. */
  stoppedByPerson: number;
  /** Highest epoch ever given to a run of this VM. */
  epoch: number;
  createdAt: string;
}

export interface RunsTable {
  vmUuid: string;
  epoch: number;
  hostUuid: string;
  bootId: string;
  /** Epoch that its qemu bears in its arguments; null: an adopted one that bears none. */
  mark: number | null;
  /** Pid namespace of its host in that boot; null: not known. */
  pidNamespace: string | null;
  state: RunState;
  openedAt: string;
  closedAt: string | null;
  proofUuid: string | null;
  /** The HA task that it was granted for; null: a person's start, or one that was found. */
  taskUuid: string | null;
}

export interface ProofsTable {
  /** Place in the chain, without gaps. */
  sequence: number;
  uuid: string;
  taskUuid: string | null;
  kind: ProofKind;
  vmUuid: string;
  epoch: number;
  hostUuid: string;
  bootId: string;
  /** Who said so: peer's host uuid, `power:<agent>`, `operator:<name>` … */
  source: string;
  factsJson: string;
  createdAt: string;
  expiresAt: string | null;
  /** When a start first relied on it; from then on it can't be voided. */
  usedAt: string | null;
  /** Why it can't be used any more (F41). */
  voidedReason: string | null;
  previousDigest: string;
  /** SHA-256 over the canonical record and the previous digest. */
  digest: string;
}

/** A start that was granted, in the same chain as the proofs that it stands on. */
export interface StartsTable {
  /** No place is taken twice: see `proofs`. */
  sequence: number;
  taskUuid: string | null;
  vmUuid: string;
  epoch: number;
  hostUuid: string;
  bootId: string;
  openedAt: string;
  /** Digest of every earlier run of the VM and of the proof that closed it. */
  standsOn: string;
  previousDigest: string;
  digest: string;
}

export interface HaTasksTable {
  uuid: string;
  vmUuid: string;
  /** Grows with each management node that takes the task over. */
  taskToken: number;
  ownerUuid: string;
  reason: string;
  judger: JudgerName;
  siblingHostUuidsJson: string;
  softAvoidHostUuidsJson: string;
  /** A person's wish, or the host that rebooted. */
  preferredHostUuid: string | null;
  state: TaskState;
  attempt: number;
  /** What it waits for or why it was refused, a sentence for people. */
  waitsFor: string | null;
  /** Manual ways out, JSON array of commands. */
  waysOutJson: string;
  nextTryAt: string | null;
  destinationHostUuid: string | null;
  createdAt: string;
  endedAt: string | null;
}

export interface HaTaskStepsTable {
  id: Generated<number>;
  taskUuid: string;
  attempt: number;
  name: string;
  result: 'started' | 'done' | 'failed' | 'skipped';
  startedAt: string;
  endedAt: string | null;
  durationMs: number | null;
  detailJson: string;
}

export interface HistoryTable {
  uuid: string;
  taskUuid: string;
  attempt: number;
  vmUuid: string;
  reason: string;
  beganAt: string;
  endedAt: string | null;
  /** null while it runs. */
  success: number | null;
  destinationHostUuid: string | null;
  failure: string | null;
  proofDigestsJson: string;
  stepsJson: string;
}

export type Severity = 'info' | 'warning' | 'critical';

export interface EventsTable {
  id: Generated<number>;
  at: string;
  kind: string;
  severity: Severity;
  hostUuid: string | null;
  vmUuid: string | null;
  taskUuid: string | null;
  text: string;
  factsJson: string;
}

export interface SettingsTable {
  /** Empty: for the whole site. */
  clusterUuid: string;
  name: string;
  valueJson: string;
  changedAt: string;
  changedBy: string;
}

export interface TokensTable {
  uuid: string;
  name: string;
  role: 'viewer' | 'operator' | 'admin';
  /** SHA-256 of the token; the token itself is shown once. */
  tokenSha256: string;
  createdAt: string;
}

export interface AuditTable {
  id: Generated<number>;
  at: string;
  actor: string;
  role: string;
  action: string;
  target: string;
  reason: string | null;
  factsJson: string;
}

export interface Database {
  meta: MetaTable;
  clusters: ClustersTable;
  hosts: HostsTable;
  powerDevices: PowerDevicesTable;
  orderTokens: OrderTokensTable;
  hostLogins: HostLoginsTable;
  powerOrders: PowerOrdersTable;
  vms: VmsTable;
  runs: RunsTable;
  proofs: ProofsTable;
  starts: StartsTable;
  haTasks: HaTasksTable;
  haTaskSteps: HaTaskStepsTable;
  history: HistoryTable;
  events: EventsTable;
  settings: SettingsTable;
  tokens: TokensTable;
  audit: AuditTable;
}
