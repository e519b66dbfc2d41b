import { IsBoolean, IsIn, IsInt, IsString, Max, MaxLength, Min, MinLength } from 'class-validator';
import { Mark } from './agentText.js';
import { Rsp } from './envelope.js';
import { DiskRef, FenceAnswer, FenceVerdict } from './fence.js';
import { Epoch, List, Nullable, Optional, Part, required, Text, Uuid } from './rules.js';

/** A VM as seen on a host. */
export const VM_STATES = [
  'Stopped',
  'Starting',
  'Running',
  'Paused',
  'Migrating',
  'Stopping',
  'Crashed',
  'Unknown',
] as const;
export type VmState = (typeof VM_STATES)[number];

/** One VM in a host's list: known to libvirt, to the process table, or to both. */
export class VmSeen {
  @Uuid() vmUuid = '';
  @Text(256) name = '';
  @IsIn(VM_STATES) state: VmState = 'Unknown';
  /** Epoch of the running qemu by its mark; null if it bears none or nothing runs. */
  @Nullable() @Mark() epoch: number | null = null;
  @Nullable() @IsInt() pid: number | null = null;
  @Nullable() @IsInt() startTime: number | null = null;
  @IsBoolean() knownToLibvirt = false;
  @IsBoolean() hasProcess = false;
}

export class VmSyncCmd {}

/** `POST /vm/sync`: every qemu that libvirt *or* the process table knows. */
export class VmSyncRsp extends Rsp {
  @List(() => VmSeen) vms = required<VmSeen[]>();
  /** libvirt answered; if not, the list is what the process table shows. */
  @IsBoolean() libvirtAnswered = false;
  @Text(64) bootId = '';
  /** Processes that look like qemu and belong to no known VM. */
  @IsInt() @Min(0) unattributed = required<number>();
}

/** A proof that a run is closed, by digest; the agent stores it beside the start. */
export class ClosedRun {
  @Epoch() epoch = required<number>();
  @Text(64) proofDigest = '';
}

/** `POST /vm/start`: each epoch starts at most once per host; a repeat returns the state (F11). */
export class StartVmCmd {
  @Uuid() vmUuid = '';
  @Epoch() epoch = required<number>();
  /** The boot that the server granted this run to; another boot refuses (its ledger would lie). */
  @Text(64) bootId = '';
  @IsString() @MinLength(1) @MaxLength(262_144) domainXml = '';
  /** One entry for each other run of this VM: no proof, no start. */
  @List(() => ClosedRun, 1_024) closedRuns = required<ClosedRun[]>();
  /** Bound on libvirt's work, milliseconds. */
  @IsInt() @Min(1_000) @Max(600_000) startTimeoutMs = 60_000;
  @Optional() @Text(128) taskId?: string;
}

export class StartVmRsp extends Rsp {
  @IsIn(VM_STATES) state: VmState = 'Unknown';
  @Nullable() @IsInt() epoch: number | null = null;
  @Nullable() @IsInt() pid: number | null = null;
  @Nullable() @IsInt() startTime: number | null = null;
}

export const DESTROY_PURPOSES = ['stop', 'fence'] as const;
export type DestroyPurpose = (typeof DESTROY_PURPOSES)[number];

/** `POST /vm/destroy`: barrier, kill, verify and drain on the agent's own host. */
export class DestroyVmCmd {
  @Uuid() vmUuid = '';
  /** Runs up to this epoch are closed; newer ones are left alone. */
  @Epoch() fenceEpoch = required<number>();
  @List(() => DiskRef, 64) disks = required<DiskRef[]>();
  /** `stop`: a person's clean stop, tries a graceful shutdown first; `fence`: kill. */
  @IsIn(DESTROY_PURPOSES) purpose: DestroyPurpose = 'fence';
  /** How long a graceful shutdown may take before it is a kill, milliseconds. */
  @IsInt() @Min(0) @Max(600_000) gracefulMs = 0;
  @IsInt() @Min(1_000) @Max(300_000) timeoutMs = 20_000;
  @IsInt() @Min(0) @Max(60_000) killGraceMs = 300;
  @Optional() @Text(128) taskId?: string;
}

/** The verdict of the host itself, and whether that epoch ever began there. */
export class DestroyVmRsp extends FenceAnswer {
  @Optional() @Part(() => FenceVerdict) verdict?: FenceVerdict;
  /** Highest epoch of this VM that ever began here; null: none (read after the barrier). */
  @Nullable() @IsInt() highestBegan: number | null = null;
  /** The host's own record could be read; if not, `highestBegan` says nothing. */
  @IsBoolean() beganKnown = false;
}

/** `POST /vm/status` */
export class VmStatusCmd {
  @Uuid() vmUuid = '';
}

export class VmStatusRsp extends Rsp {
  @Optional() @Part(() => VmSeen) vm?: VmSeen;
  @Nullable() @IsInt() highestBegan: number | null = null;
  @Nullable() @IsInt() barrierEpoch: number | null = null;
  @Text(64) bootId = '';
}

/** `GET /vm/:vmUuid/domain`: the definition that libvirt has, for import. */
export class VmDomainCmd {
  @Uuid() vmUuid = '';
}

export class VmDomainRsp extends Rsp {
  @Text(256) name = '';
  @IsInt() @Min(1) memoryMiB = required<number>();
  @IsInt() @Min(1) cpus = required<number>();
  /** Writable disks, as qemu opens them. */
  @List(() => DiskRef, 64) disks = required<DiskRef[]>();
  @IsString() @MinLength(1) @MaxLength(262_144) domainXml = '';
}
