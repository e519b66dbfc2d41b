import type { Secret } from '@fenceline/common';
import type { CallerRole } from '@fenceline/protocol';
import type { FencingSeen } from './queries/fencers.js';
import type { HaLevel, HostState, Priority } from '../store/schema.js';

/**
 * What the API needs from the other domains to *change* something; everything that it only reads
 * comes straight from the store (`queries/`). Ids arrive resolved: always a dashed uuid of a row
 * that existed a moment ago. Every method may throw DomainError with a sentence that a person can
 * act on: NOT_FOUND (gone meanwhile), CONFLICT (the state does not allow it now), REFUSED (a
 * safety rule says no), STOPPING. Audit rows are written by the API, before the call.
 */
export interface ApiServices {
  hosts: HostsService;
  vms: VmsService;
  tasks: TasksService;
  confirmDead: ConfirmDeadService;
  /** The one part that is only read: it is in memory, not in the store. */
  seen: FencingSeen;
  /** Why the chain of proofs does not hold, as far as it was followed; undefined: it does. */
  chain: { problem(): string | undefined };
}

/** Who asks, as proven by the token; for records such as `operator:<name>`. */
export interface Actor {
  name: string;
  role: CallerRole;
}

export interface NewHost {
  name: string;
  clusterUuid: string;
  /** At least one; the first is the one to dial. */
  addresses: readonly string[];
  agentPort: number;
  sshPort: number;
  sshUsername: string;
  powerDevice?: NewPowerDevice;
}

export interface NewPowerDevice {
  /** A fence-agents program: a name in PATH or an absolute path. */
  agent: string;
  /** JSON object of texts (the program's parameters); revealed only to store it and to run it. */
  parametersJson: Secret;
}

export interface HostsService {
  /**
   * Stores the host (Enabled, Connecting) and starts to connect it; resolves once the row is
   * durable, without waiting for the connect, whose end is told by `status` and by events.
   * @throws CONFLICT if the name or an address belongs to another host.
   */
  add(host: NewHost): Promise<{ hostUuid: string }>;
  /** Starts a reconnect (also of a Connected host) and returns; joins one that is under way. */
  reconnect(hostUuid: string): Promise<void>;
  /** Enabled: VMs may be placed there. Disabled: no new VMs; running ones stay and stay guarded. */
  setState(hostUuid: string, state: Extract<HostState, 'Enabled' | 'Disabled'>): Promise<void>;
  /** Forgets the host and its keys at its siblings. @throws REFUSED while a run there is open. */
  remove(hostUuid: string): Promise<void>;
  /**
   * Proves the mapping of power device and host: off, read back as off, on; durable as
   * `verifiedAt`. Takes up to a few minutes and resolves when done.
   * @throws CONFLICT if it has no power device; REFUSED while a run there is open; REFUSED with
   *   what was seen if the device did not act on exactly this host.
   */
  verifyPower(hostUuid: string, level?: number): Promise<{ verifiedAt: string }>;
  /**
   * Replaces all power devices: levels in the order in which they are tried, each with the devices
   * that must be off together. @throws BAD_INPUT naming level and device.
   */
  setPowerLevels(hostUuid: string, levels: readonly (readonly NewPowerDevice[])[]): Promise<void>;
  /** Stores it sealed; replaces the former one (F30). */
  setLogin(hostUuid: string, login: NewHostLogin): Promise<void>;
  removeLogin(hostUuid: string): Promise<void>;
  /**
   * A new fence key for the host (F29). `untold`: names of siblings that let the former key in
   * until they can be told.
   * @throws CONFLICT if it is not Connected; REFUSED, unless `force`, if a sibling can't be told.
   */
  rotateKey(
    hostUuid: string,
    ask: { force: boolean },
  ): Promise<{ fencePublicKey: string; untold: readonly string[] }>;
}

/** How siblings log in to a host that has no entry for their keys. */
export interface NewHostLogin {
  kind: 'password' | 'privateKey';
  /** The password, or the private key as a file has it; revealed only to seal it. */
  secret: Secret;
  passphrase?: Secret;
}

/** Work that was begun and goes on by itself; without a task if it is done already. */
export interface StartedWork {
  taskUuid?: string;
}

export interface VmsService {
  /**
   * Reads the definition of a VM from the host's agent and puts it under this server's care, with
   * its current run in the ledger if it runs. Repeating it refreshes the definition.
   * @param vm uuid or name on that host.
   * @throws NOT_FOUND if the host has no such VM; CONFLICT if the host is not Connected.
   */
  importVm(ask: { hostUuid: string; vm: string }): Promise<{ vmUuid: string }>;
  /** Sets level and priority; what is absent stays. */
  protect(
    vmUuid: string,
    wish: { level?: HaLevel | undefined; priority?: Priority | undefined },
  ): Promise<void>;
  /**
   * A person's start through the same gate as every start (F40). Resolves when the start command
   * is on its way or the VM runs; "seen running" is told by the VM's state and by events.
   * @throws REFUSED with VM, suspect and ways out while another run is open without proof.
   */
  start(vmUuid: string, ask: { hostUuid?: string | undefined; actor: Actor }): Promise<StartedWork>;
  /** A person's stop: HA leaves the VM alone afterwards. Resolves when its run is proven over. */
  stop(vmUuid: string, ask: { graceful: boolean; actor: Actor }): Promise<StartedWork>;
  /** Begins an HA start with judger `manual`, as if its host had failed. */
  haStart(vmUuid: string, ask: { reason: string; actor: Actor }): Promise<{ taskUuid: string }>;
}

export interface TasksService {
  /** Tries a waiting or refused task again now, without its back-off. @throws CONFLICT if ended. */
  retry(taskUuid: string, actor: Actor): Promise<void>;
  /**
   * Ends a task for good without a start.
   * @throws CONFLICT if ended; REFUSED while its start command may already have left.
   */
  abandon(taskUuid: string, ask: { reason: string; actor: Actor }): Promise<void>;
}

export interface ConfirmDeadService {
  /**
   * A person's word that a host is dead (proof `operatorConfirmed`) for every open run there; the
   * API has already compared the typed name. Wakes the tasks that wait for it.
   * @throws REFUSED while a sign of life is younger than `ha.operator.confirmDeadAfterSec`.
   */
  confirmDead(ask: { hostUuid: string; reason: string; actor: Actor }): Promise<ConfirmedDead>;
}

export interface ConfirmedDead {
  /** VMs whose open run there is now covered by the confirmation. */
  vmUuids: readonly string[];
  /** ISO 8601 UTC. */
  expiresAt: string;
}
