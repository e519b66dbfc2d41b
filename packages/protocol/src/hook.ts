import { IsBoolean, IsInt, Min } from 'class-validator';
import { Rsp } from './envelope.js';
import { DiskRef } from './fence.js';
import { List, Nullable, Optional, Part, required, Text, Uuid } from './rules.js';

/** A VM whose starts by hand a host refuses: by its uuid, and by any of its disks (F34). */
export class ProtectedVm {
  @Uuid() vmUuid = '';
  @List(() => DiskRef, 64) disks = required<DiskRef[]>();
}

/** `POST /host/protect`: the whole list of the cluster; it replaces what the host had. */
export class ProtectCmd {
  @List(() => ProtectedVm, 16_384) vms = required<ProtectedVm[]>();
}

/** Whether libvirt on this host really asks the hook, as the last probe showed. */
export class HookState {
  @IsBoolean() working = false;
  /** Since that probe, milliseconds; null: none has ended yet. */
  @Nullable() @IsInt() @Min(0) checkedAgeMs: number | null = null;
  /** VMs in the list that the hook reads; null: the server has never sent one. */
  @Nullable() @IsInt() @Min(0) protectedVms: number | null = null;
  /** Why it does not work, one sentence. */
  @Optional() @Text(512) why?: string;
}

export class ProtectRsp extends Rsp {
  @Part(() => HookState) hook = required<HookState>();
}
