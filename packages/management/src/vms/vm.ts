import type { DiskRef } from '@fenceline/protocol';
import type { HaLevel, Priority, VmsTable } from '../store/schema.js';
import { fromJson, type Queryable } from '../store/store.js';

/** A VM of the inventory. */
export interface Vm {
  uuid: string;
  clusterUuid: string;
  name: string;
  /** `KVM`; others are never fenced by a peer (F4). */
  hypervisor: string;
  /** Displayed state. */
  state: string;
  /** For display; the ledger decides (F33). */
  hostUuid: string | null;
  lastHostUuid: string | null;
  domainXml: string;
  disks: readonly DiskRef[];
  memoryMiB: number;
  cpus: number;
  level: HaLevel;
  priority: Priority;
  stoppedByPerson: boolean;
  epoch: number;
  createdAt: string;
}

export function vmOf(row: VmsTable): Vm {
  const { disksJson, stoppedByPerson, ...rest } = row;
  return {
    ...rest,
    disks: fromJson<DiskRef[]>(disksJson),
    stoppedByPerson: stoppedByPerson === 1,
  };
}

/** safety: F21a: nothing shows that what qemu gave to io_uring has reached the disk or never will. */
export function diskByUring(disks: readonly DiskRef[]): DiskRef | undefined {
  return disks.find(({ kind }) => kind.startsWith('uring-'));
}

export async function findVm(on: Queryable, vmUuid: string): Promise<Vm | undefined> {
  const row = await on.selectFrom('vms').selectAll().where('uuid', '=', vmUuid).executeTakeFirst();
  return row === undefined ? undefined : vmOf(row);
}
