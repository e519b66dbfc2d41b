import { IsArray, IsBoolean, IsIn, IsInt, Min } from 'class-validator';
import { List, Nullable, Part, required, Text, Uuid } from '../rules.js';
import { ClusterView } from './clusters.js';
import { FencerView, HostRefView, HostView } from './hosts.js';
import { Page, Time } from './rules.js';
import { TaskView } from './tasks.js';
import {
  POWER_READINESS,
  READY_PROOFS,
  SEVERITIES,
  type PowerReadiness,
  type ReadyProof,
  type Severity,
} from './values.js';
import { VmView } from './vms.js';

/** Something that needs a person, as long as it lasts. */
export class AlarmView {
  @IsIn(SEVERITIES) severity = required<Severity>();
  @Text(64) kind = required<string>();
  @Text(8_192) text = required<string>();
  @Nullable() @Uuid() hostUuid: string | null = null;
  @Nullable() @Uuid() vmUuid: string | null = null;
  @Nullable() @Uuid() taskUuid: string | null = null;
}

export class ClusterStatusView {
  @Part(() => ClusterView) cluster = required<ClusterView>();
  @List(() => HostView) hosts = required<HostView[]>();
  @List(() => VmView) vms = required<VmView[]>();
}

/** Everything that `fenceline status` shows, of one moment. */
export class StatusView {
  @Time() at = required<string>();
  @Text(32) serverVersion = required<string>();
  /** `active`, `detect-only` or `disarmed`. */
  @Text(32) haMode = required<string>();
  @List(() => ClusterStatusView) clusters = required<ClusterStatusView[]>();
  @List(() => TaskView) openTasks = required<TaskView[]>();
  @List(() => AlarmView) alarms = required<AlarmView[]>();
}

export class HostReadinessView extends HostRefView {
  /** It can be asked to fence a sibling now. */
  @IsBoolean() canFence = required<boolean>();
  /** Why it can't be asked; null if it can. */
  @Nullable() @Text() whyNot: string | null = null;
  /** Siblings that could fence it now. */
  @IsInt() @Min(0) peerCount = required<number>();
  /** The first 16 of them, those with a fence line first. */
  @List(() => FencerView, 16) canBeFencedBy = required<FencerView[]>();
  @IsIn(POWER_READINESS) powerDevice = required<PowerReadiness>();
  /** Its libvirt hook refuses starts by hand of protected VMs; null: not known. */
  @Nullable() @IsBoolean() hookWorking: boolean | null = null;
}

export class VmReadinessView extends HostRefView {
  @Nullable() @Text(256) hostName: string | null = null;
  @IsBoolean() protected = required<boolean>();
  @IsArray() @IsIn(READY_PROOFS, { each: true }) proofs = required<ReadyProof[]>();
  @Text() text = required<string>();
}

export class ReadinessView {
  @List(() => HostReadinessView) hosts = required<HostReadinessView[]>();
  @List(() => VmReadinessView) vms = required<VmReadinessView[]>();
}

export class NodeView {
  @Uuid() uuid = required<string>();
  @Text(32) version = required<string>();
  @Time() startedAt = required<string>();
  /** Grows with each start; hosts that are owned carry it. */
  @IsInt() @Min(0) ownerEpoch = required<number>();
  @Uuid() databaseIncarnation = required<string>();
  /** It is the one that answers. */
  @IsBoolean() self = required<boolean>();
}

export class NodePage extends Page {
  @List(() => NodeView) items = required<NodeView[]>();
}
