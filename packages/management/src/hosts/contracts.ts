import type { MonotonicMs } from '@fenceline/common';
import type { VmSeen, WatchItem } from '@fenceline/protocol';
import type { ChannelName } from '../settings/settings.js';
import type { HostState, HostStatus, Liveness } from '../store/schema.js';

/**
 * What the judgement of a host asks the HA domain to do (the evidence matrix decides which).
 * `fence`: bring its VMs back, closing their runs through `channels`; `closeRebooted`: the host
 * runs under a new boot, so its old runs are over once its barrier says so; `cancel`: it came
 * back under the same boot, so what has not yet been fenced is called off.
 */
export type HostAction = 'none' | 'alarm' | 'fence' | 'closeRebooted' | 'cancel';

/** One judgement of one host, with everything that led to it (D6). */
export interface HostJudgement {
  hostUuid: string;
  /** Name of the matrix row. */
  row: string;
  action: HostAction;
  channels: readonly ChannelName[];
  /** Siblings that answered in this round, vetted, best first (F6). */
  siblingHostUuids: readonly string[];
  /** The inputs and their age in milliseconds, flat. */
  inputs: Record<string, string | number | boolean | null>;
  /** One plain sentence. */
  why: string;
}

/** What other domains hear from the tracking of hosts, in order per host. */
export interface HostListener {
  /** A full list of a host's VMs was read: after each (re)connect of its stream and on a ping. */
  vmsListed(list: HostVmList): Promise<void>;
  /** A VM event arrived on the stream. */
  vmChanged(change: { hostUuid: string; bootId: string; vm: VmSeen }): Promise<void>;
  judged(judgement: HostJudgement): Promise<void>;
}

export interface HostVmList {
  hostUuid: string;
  bootId: string;
  vms: readonly VmSeen[];
  /** libvirt answered; if not, the list is what the process table shows. */
  libvirtAnswered: boolean;
}

/** What the tracking knows of a host now, in memory; never a guess. */
export interface HostPresence {
  /** Monotonic time of the last sign of life; undefined: none since this server started. */
  lastSignOfLifeMs(hostUuid: string): MonotonicMs | undefined;
  /** Somebody else (a peer, a scan) saw the host act. */
  noteSignOfLife(hostUuid: string, what: string): void;
  /** The watch stream is up and not silent. */
  linkUp(hostUuid: string): boolean;
  /** Boot id of the last heartbeat or ping; undefined: none since this server started. */
  bootId(hostUuid: string): string | undefined;
  /** Its newest heartbeat, while its stream is up or was; undefined: none since this server started. */
  lastHeartbeat(hostUuid: string): WatchItem | undefined;
  /** VMs with a live qemu in the host's fresh list (F38); undefined: no fresh list. */
  liveVms(hostUuid: string): readonly VmSeen[] | undefined;
}

/** A host as other domains need it. */
export interface HostInfo {
  uuid: string;
  name: string;
  clusterUuid: string;
  hypervisor: string;
  /** First one is dialled first. */
  addresses: readonly string[];
  agentPort: number;
  sshPort: number;
  sshUsername: string;
  sshHostKeys: readonly string[];
  status: HostStatus;
  state: HostState;
  liveness: Liveness;
  quarantinedUntil: string | null;
  agentVersion: string | null;
  cpus: number | null;
  memoryMiB: number | null;
}

/** Reads of the inventory for other domains; always from the store. */
export interface HostDirectory {
  find(hostUuid: string): Promise<HostInfo | undefined>;
  all(): Promise<HostInfo[]>;
}

/** What the HA domain tells the hosts domain: only it moves `liveness` to and from these (D7). */
export interface HostFencingMarks {
  fencingBegan(hostUuid: string, why: string): Promise<void>;
  /** An attempt ended, and not every run is closed. */
  fencingCalledOff(hostUuid: string, why: string): Promise<void>;
  /** Every run on the host is proven over. */
  fenced(hostUuid: string, why: string): Promise<void>;
}
