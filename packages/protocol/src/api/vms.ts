import { IsArray, IsBoolean, IsIn, IsInt, Min } from 'class-validator';
import { DiskRef } from '../fence.js';
import { BooleanInQuery, Epoch, List, Nullable, Optional, required, Text, Uuid } from '../rules.js';
import { VM_STATES, type VmState } from '../vm.js';
import { Page, PageQuery, Reason, Ref, Time } from './rules.js';
import {
  HA_LEVELS,
  PRIORITIES,
  READY_PROOFS,
  RUN_STATES,
  type HaLevel,
  type Priority,
  type ReadyProof,
  type RunState,
} from './values.js';

export class VmView {
  @Uuid() uuid = required<string>();
  @Text(256) name = required<string>();
  @Uuid() clusterUuid = required<string>();
  @Text(64) hypervisor = required<string>();
  @IsIn(VM_STATES) state = required<VmState>();
  /** For display: the ledger of runs decides. */
  @Nullable() @Uuid() hostUuid: string | null = null;
  @Nullable() @Text(256) hostName: string | null = null;
  @Nullable() @Uuid() lastHostUuid: string | null = null;
  @IsInt() @Min(1) memoryMiB = required<number>();
  @IsInt() @Min(1) cpus = required<number>();
  @IsIn(HA_LEVELS) level = required<HaLevel>();
  @IsIn(PRIORITIES) priority = required<Priority>();
  /** A person stopped it through Fenceline: HA leaves it alone. */
  @IsBoolean() stoppedByPerson = required<boolean>();
  @Epoch() epoch = required<number>();
  /** It would be brought back if its host failed now. */
  @IsBoolean() protected = required<boolean>();
  /** One sentence: by what it is protected, or why it is not. */
  @Text() protection = required<string>();
  /** Proofs that would work if its host vanished now (D19). */
  @IsArray() @IsIn(READY_PROOFS, { each: true }) proofs = required<ReadyProof[]>();
  /** The HA task that is at work on it. */
  @Nullable() @Uuid() openTaskUuid: string | null = null;
  @Time() createdAt = required<string>();
}

/** One life of the VM's qemu on one host (F33). */
export class RunView {
  @Epoch() epoch = required<number>();
  @Uuid() hostUuid = required<string>();
  @Nullable() @Text(256) hostName: string | null = null;
  @Text(64) bootId = required<string>();
  @IsIn(RUN_STATES) state = required<RunState>();
  @Time() openedAt = required<string>();
  @Nullable() @Time() closedAt: string | null = null;
  @Nullable() @Uuid() proofUuid: string | null = null;
  @Nullable() @Text(64) proofKind: string | null = null;
}

export class VmDetailView extends VmView {
  @List(() => DiskRef) disks = required<DiskRef[]>();
  /** Newest first, at most 50. */
  @List(() => RunView) runs = required<RunView[]>();
}

export class VmPage extends Page {
  @List(() => VmView) items = required<VmView[]>();
}

export class ListVmsRequest extends PageQuery {
  @Optional() @Ref() cluster?: string;
  @Optional() @Ref() host?: string;
  @Optional() @IsIn(VM_STATES) state?: VmState;
  @Optional() @IsIn(HA_LEVELS) level?: HaLevel;
}

/** A VM by uuid or unique name. */
export class VmRequest {
  @Ref() vm = required<string>();
}

export class ImportVmRequest {
  /** Uuid or name of the host that has it. */
  @Ref() host = required<string>();
  /** Uuid or name of the VM on that host. */
  @Ref() vm = required<string>();
}

export class ProtectVmRequest extends VmRequest {
  @Optional() @IsIn(HA_LEVELS) level?: HaLevel;
  @Optional() @IsIn(PRIORITIES) priority?: Priority;
}

export class StartVmRequest extends VmRequest {
  /** Uuid or name of the host; absent: placement decides. */
  @Optional() @Ref() host?: string;
  @Optional() @Reason() reason?: string;
}

export class StopVmRequest extends VmRequest {
  /** Ask the guest first; it is killed if it does not follow in time. */
  @Optional() @BooleanInQuery() @IsBoolean() graceful?: boolean;
  @Optional() @Reason() reason?: string;
}

export class HaStartVmRequest extends VmRequest {
  @Reason() reason = required<string>();
}

/** Work that was begun; watch the task, or the VM where there is none. */
export class VmWorkView {
  @Uuid() vmUuid = required<string>();
  @Nullable() @Uuid() taskUuid: string | null = null;
}
