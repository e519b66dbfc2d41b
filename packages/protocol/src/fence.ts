import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  MinLength,
} from 'class-validator';
import { SealedCredential } from './credential.js';
import { Rsp } from './envelope.js';
import {
  Address,
  Epoch,
  List,
  Nullable,
  Optional,
  Part,
  Port,
  required,
  Text,
  Uuid,
} from './rules.js';

export const USER_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;

/** 128 bits, lower-case hex: lets one order through (F29a). Secret. */
export const ORDER_TOKEN = /^[0-9a-f]{32}$/;
const TOKEN_RULE = '$property must be 32 lower-case hex digits';

/** Tokens that one fence call may carry: one for each way to the suspect. */
export const MAX_TOKENS_PER_FENCE = 3;

/** How many VMs one fence command may carry (F17). */
export const MAX_VMS_PER_FENCE = 500;

/** `uring-…`: written by io_uring, so no flush shows that nothing is on its way any more (F21a). */
export const DISK_KINDS = ['file', 'block', 'rbd', 'network', 'uring-file', 'uring-block'] as const;
export type DiskKind = (typeof DISK_KINDS)[number];

export const DRAINED = ['direct', 'synced', 'unmounted', 'no'] as const;
export type Drained = (typeof DRAINED)[number];

export const BARRIERS = ['disk', 'memory'] as const;
export type BarrierKind = (typeof BARRIERS)[number];

/** One per answer, for logs, metrics and tests. */
export const FENCE_OUTCOMES = [
  'confirmedDead',
  'nothingFound',
  'stillAlive',
  'otherWriter',
  'notDrained',
  'unattributed',
  'unreachable',
  'refusedConnection',
  'noBanner',
  'kexFailed',
  'authFailed',
  'hostKeyMismatch',
  'channelClosed',
  'signalled',
  'noNonce',
  'wrongHost',
  'controlFailed',
  'deadline',
  'staleEpoch',
  'badOrderToken',
  'localError',
] as const;
export type FenceOutcome = (typeof FENCE_OUTCOMES)[number];

export const FENCE_STAGES = [
  'line',
  'connect',
  'kex',
  'auth',
  'exec',
  'barrier',
  'destroy',
  'kill',
  'verify',
  'drain',
  'answer',
] as const;
export type FenceStage = (typeof FENCE_STAGES)[number];

/** A writable disk of a VM: kind and source as qemu opens it (a path, a pool/image, a url). */
export class DiskRef {
  @IsIn(DISK_KINDS) kind = required<DiskKind>();
  @IsString() @MinLength(1) @MaxLength(1_024) source = '';
}

/** Another host that the peer must reach at the moment at which it calls the suspect unreachable. */
export class ControlHost {
  @Uuid() hostUuid = '';
  @IsArray() @ArrayMinSize(1) @ArrayMaxSize(16) @Address({ each: true }) addresses: string[] = [];
  @Optional() @Port() agentPort?: number;
  @Optional() @Port() sshPort?: number;
}

/** One run to close: everything of this VM with an epoch up to `fenceEpoch` is killed (F35). */
export class FenceVm {
  @Uuid() vmUuid = '';
  @Epoch() fenceEpoch = required<number>();
  /** Every writable disk; an empty list says that there is none. */
  @List(() => DiskRef, 64) disks = required<DiskRef[]>();
}

/** The suspect and how to reach it: shared by the commands for one and for many VMs. */
export class FenceTarget {
  @Uuid() targetHostUuid = '';
  @Address() targetHostIp = '';
  /** All known addresses; default `[targetHostIp]`. */
  @IsArray() @ArrayMaxSize(16) @Address({ each: true }) targetAddresses: string[] = [];
  @Port() targetAgentPort = 7070;
  /** Pinned host keys, `ssh-ed25519 AAAA…`. */
  @IsArray()
  @ArrayMaxSize(16)
  @IsString({ each: true })
  @MaxLength(2_048, { each: true })
  targetHostKeys: string[] = [];
  /** Siblings on the same net, as the positive control of F23. */
  @List(() => ControlHost, 16) controls: ControlHost[] = [];
  @Port() targetHostSshPort = 22;
  @Matches(USER_NAME, { message: '$property must be a user name' }) targetHostUsername = 'root';
  /** Seconds for the whole call (F25). */
  @IsInt() @Min(1) @Max(300) sshTimeoutSec = 20;
  /** Milliseconds for connecting and for signs of life (F23). */
  @IsInt() @Min(100) @Max(60_000) connectTimeoutMs = 3_500;
  /** Milliseconds between `virsh destroy` and SIGKILL. */
  @IsInt() @Min(0) @Max(60_000) killGraceMs = 300;
  /** Lets this one order through on the suspect (F29a). Secret; absent: it asks for none. */
  @Optional() @Matches(ORDER_TOKEN, { message: TOKEN_RULE }) orderToken?: string;
  /**
   * For further orders of the same call: another way beside one that gives no answer, or after a
   * refused token. Secret.
   */
  @IsArray()
  @ArrayMaxSize(MAX_TOKENS_PER_FENCE - 1)
  @Matches(ORDER_TOKEN, { each: true, message: `${TOKEN_RULE} each` })
  spareOrderTokens: string[] = [];
  @Optional() @Text(128) taskId?: string;
  /** For a suspect that has no entry for this host's own key (F30). */
  @Optional() @Part(() => SealedCredential) credential?: SealedCredential;
}

/** `POST /ha/fence/vm/from/peer` */
export class FenceVmFromPeerCmd extends FenceTarget {
  @Uuid() vmUuid = '';
  @Epoch() fenceEpoch = required<number>();
  /** Every writable disk; an empty list says that there is none. */
  @List(() => DiskRef, 64) disks = required<DiskRef[]>();
}

/** `POST /ha/fence/vms/from/peer`: the same for up to 500 VMs of one suspect (F17). */
export class FenceVmsFromPeerCmd extends FenceTarget {
  @ArrayMinSize(1) @List(() => FenceVm, MAX_VMS_PER_FENCE) vms = required<FenceVm[]>();
}

export class KilledProcess {
  @IsInt() @Min(1) pid = 0;
  /** Field 22 of /proc/PID/stat, in clock ticks since boot. */
  @IsInt() startTime = 0;
  /** Epoch of its run; null if it bore no mark. */
  @Nullable() @IsInt() epoch: number | null = null;
}

export class DiskDrained {
  @IsString() @MinLength(1) @MaxLength(1_024) source = '';
  @IsIn(DRAINED) drained: Drained = 'no';
}

/** Another process that has a disk of the VM open for writing: named, never killed (F20a). */
export class OtherWriter {
  /** 0: not a process but the kernel, such as a loop device on the image. */
  @IsInt() @Min(0) pid = 0;
  @IsString() @MaxLength(64) comm = '';
  @IsString() @MinLength(1) @MaxLength(1_024) source = '';
}

export class StageTime {
  @IsIn(FENCE_STAGES) name: FenceStage = 'connect';
  @IsInt() @Min(0) ms = 0;
}

/** Where an answer comes from and how it was obtained: shared by one and many. */
export class FenceAnswer extends Rsp {
  /** The host that answered (F22); absent if nobody answered. */
  @Optional() @Uuid() hostUuid?: string;
  @Optional() @Text(64) bootId?: string;
  @Optional() @Text(64) pidNamespace?: string;
  @List(() => StageTime) stages: StageTime[] = [];
  @IsInt() @Min(0) stdoutBytes = 0;
  @IsInt() @Min(0) stderrBytes = 0;
  @Text(64) outputSha256 = '';
}

/** What was found and done about one VM; at most one of the three booleans is true (F24). */
export class FenceVerdict {
  @Uuid() vmUuid = '';
  @Optional() @IsBoolean() qemuConfirmedDead?: boolean;
  @Optional() @IsBoolean() qemuStillAlive?: boolean;
  @Optional() @IsBoolean() targetHostUnreachable?: boolean;
  @IsIn(FENCE_OUTCOMES) outcome: FenceOutcome = 'localError';
  @Optional() @IsIn(BARRIERS) barrier?: BarrierKind;
  @List(() => KilledProcess) killed: KilledProcess[] = [];
  @List(() => DiskDrained) disks: DiskDrained[] = [];
  @List(() => OtherWriter) otherWriters: OtherWriter[] = [];
  /** One plain sentence for people; no remote output. */
  @Optional() @Text(512) detail?: string;
}

/** What a peer tells beside the verdicts. */
export class PeerFenceAnswer extends FenceAnswer {
  /**
   * Tokens of the call that were never written to any session, by place: 0 is `orderToken`, 1 the
   * first of the spare ones. They can still be used once.
   */
  @IsArray()
  @ArrayMaxSize(MAX_TOKENS_PER_FENCE)
  @ArrayUnique()
  @IsInt({ each: true })
  @Min(0, { each: true })
  @Max(MAX_TOKENS_PER_FENCE - 1, { each: true })
  unusedOrderTokens: number[] = [];
}

export class FenceVmFromPeerRsp extends PeerFenceAnswer {
  @Optional() @Uuid() vmUuid?: string;
  @Optional() @IsBoolean() qemuConfirmedDead?: boolean;
  @Optional() @IsBoolean() qemuStillAlive?: boolean;
  @Optional() @IsBoolean() targetHostUnreachable?: boolean;
  @IsIn(FENCE_OUTCOMES) outcome: FenceOutcome = 'localError';
  @Optional() @IsIn(BARRIERS) barrier?: BarrierKind;
  @List(() => KilledProcess) killed: KilledProcess[] = [];
  @List(() => DiskDrained) disks: DiskDrained[] = [];
  @List(() => OtherWriter) otherWriters: OtherWriter[] = [];
  @Optional() @Text(512) detail?: string;
}

export class FenceVmsFromPeerRsp extends PeerFenceAnswer {
  @List(() => FenceVerdict) verdicts: FenceVerdict[] = [];
}
