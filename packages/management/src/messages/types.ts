import type { DomainError } from '@fenceline/protocol';
import type { JudgerName } from '../store/schema.js';

/** What every message carries. */
export interface Message {
  timeoutMs: number;
  taskId?: string;
}

export interface Reply {
  /** Present if the message failed; nothing is thrown across the bus. */
  error?: DomainError;
}

/** Asks that one VM be brought back (F1). */
export interface HaStartVmInstanceMsg extends Message {
  vmUuid: string;
  reason: string;
  /** Vetted by the decision, in its order (F6). */
  siblingHostUuids: readonly string[];
  judger: JudgerName;
  /** Placement's last resort. */
  softAvoidHostUuids: readonly string[];
  /** Placement's first choice: a person's wish, or the host that rebooted. */
  preferredHostUuid?: string;
}
export interface HaStartVmInstanceReply extends Reply {
  /** Absent when the judger said no, or on error. */
  vm?: { uuid: string; hostUuid: string; epoch: number };
}

/** A person's stop of one VM; waits in the same queue as its starts. */
export interface StopVmInstanceMsg extends Message {
  vmUuid: string;
  /** How long the guest may take to shut down by itself; 0 = kill. */
  gracefulMs: number;
}

/** Asks what became of a stop that nobody carried out to its end. */
export interface SettleStopMsg extends Message {
  vmUuid: string;
}

/** Asks for a look at the runs of a refused task, between two of its attempts. */
export interface ProbeHaTaskMsg extends Message {
  vmUuid: string;
  taskId: string;
}

/** Asks the peers of a suspect to close one run there (F12). */
export interface FenceVmOnHostMsg extends Message {
  /** The suspect. */
  hostUuid: string;
  vmUuid: string;
  epoch: number;
  siblingHostUuids: readonly string[];
  /** They only look, which costs no order token and proves nothing. */
  lookOnly?: boolean;
}

/** What a peer said, as it is stored (§3 of the verdict table decides what it is worth). */
export interface PeerEvidence {
  peerHostUuid: string;
  success: unknown;
  qemuConfirmedDead: unknown;
  qemuStillAlive: unknown;
  targetHostUnreachable: unknown;
  outcome: string;
  hostUuid?: string;
  bootId?: string;
  pidNamespace?: string;
  barrier?: string;
  disks: readonly { source: string; drained: string }[];
  killed: readonly { pid: number; startTime: number; epoch: number | null }[];
  detail?: string;
}
export interface FenceVmOnHostReply extends Reply {
  /** Every answer in the order in which peers were asked; the last one decided. */
  evidence: readonly PeerEvidence[];
  /** Siblings that might have been asked at all. */
  eligibleSiblings?: number;
}

export interface ConnectHostMsg extends Message {
  hostUuid: string;
  newAdd: boolean;
  /** True only from ReconnectHost (C4). */
  reconnect: boolean;
}
export interface ReconnectHostMsg extends Message {
  hostUuid: string;
  skipIfConnected: boolean;
  calledBy: 'api' | 'ping' | 'agent' | 'maintenance' | 'tracking';
}
export interface CheckHostCapacityMsg extends Message {
  hostUuid: string;
}
export interface CheckHostCapacityReply extends Reply {
  capacity?: { cpus: number; memoryMiB: number };
}

/** Every message, its fields and its reply. */
export interface MessageTypes {
  HaStartVmInstance: { message: HaStartVmInstanceMsg; reply: HaStartVmInstanceReply };
  ProbeHaTask: { message: ProbeHaTaskMsg; reply: Reply };
  SettleStop: { message: SettleStopMsg; reply: Reply };
  StopVmInstance: { message: StopVmInstanceMsg; reply: Reply };
  FenceVmOnHost: { message: FenceVmOnHostMsg; reply: FenceVmOnHostReply };
  ConnectHost: { message: ConnectHostMsg; reply: Reply };
  ReconnectHost: { message: ReconnectHostMsg; reply: Reply };
  CheckHostCapacity: { message: CheckHostCapacityMsg; reply: CheckHostCapacityReply };
}
export type MessageName = keyof MessageTypes;
export type MessageOf<Name extends MessageName> = MessageTypes[Name]['message'];
export type ReplyOf<Name extends MessageName> = MessageTypes[Name]['reply'];

/** C7: one shared constant for every sender. */
export const CHECK_HOST_CAPACITY_TIMEOUT_MS = 30 * 60_000;
