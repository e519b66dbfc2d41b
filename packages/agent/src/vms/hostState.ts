import type { BarrierKind, KnownRun } from '@fenceline/protocol';

/** Who this host is, as it remembers it. */
export interface HostIdentity {
  /** Given by the first connect and kept. */
  hostUuid: string | undefined;
  /** The record of past starts is whole: kept since the first connect, or re-seeded (F11). */
  seeded: boolean;
}

/** The qemu of a run as the agent recorded it (F35). */
export interface RunRecord {
  epoch: number;
  pid: number;
  startTime: number;
}

/**
 * A start that is under way: the process that asks libvirt for it. It stays when that process ends
 * without libvirt's answer, until a fence has closed its run.
 */
export interface Grant {
  vmUuid: string;
  epoch: number;
  pid: number;
  startTime: number;
}

/**
 * What this host remembers about runs, shared with the fence program. Uuids are dashed, lower
 * case. Nothing is cached: the program writes the same records.
 * @throws DomainError INTERNAL from every method if a record can't be read or written; a record
 * that does not exist is `undefined`, never an error.
 */
export interface HostState {
  identity(): Promise<HostIdentity>;
  /**
   * Remembers who this host is, durably. With `runs`, and only if the record of past starts is not
   * whole, takes each of those epochs as begun, and from then on the record is whole.
   */
  adopt(hostUuid: string, runs: readonly KnownRun[] | undefined): Promise<void>;

  /** The VM is closed on this host up to and including this epoch (F34). */
  barrier(vmUuid: string): Promise<number | undefined>;
  /** Raises the barrier, never lowers it; says whether it is on disk or holds for this boot only. */
  raiseBarrier(vmUuid: string, epoch: number): Promise<BarrierKind>;

  /** Highest epoch whose start ever began on this host. */
  began(vmUuid: string): Promise<number | undefined>;
  /** Raises it, never lowers it; on disk when this returns. */
  recordBegan(vmUuid: string, epoch: number): Promise<void>;

  grants(): Promise<Grant[]>;
  writeGrant(grant: Grant): Promise<void>;
  /** Does nothing if the VM's grant is not exactly this one. */
  dropGrant(grant: Grant): Promise<void>;

  /** Runs that this boot has seen, by VM. */
  runs(): Promise<Map<string, RunRecord>>;
  recordRun(vmUuid: string, run: RunRecord): Promise<void>;
}
