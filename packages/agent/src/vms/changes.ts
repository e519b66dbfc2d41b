import { VmSeen } from '@fenceline/protocol';
import type { VmLook } from './look.js';

export interface Changes {
  /** What is known after the look. */
  now: VmSeen[];
  /** What is to be told: new, different or gone. */
  changed: VmSeen[];
}

/**
 * What a look changes about what was known. If libvirt was silent, only processes count: a domain
 * without one is kept as it was known.
 * @param crashed names of domains that libvirt reported as crashed since the last look; a transient
 * domain is gone by then and could not be told from a stopped one.
 */
export function changesBetween(
  before: readonly VmSeen[],
  look: VmLook,
  crashed: ReadonlySet<string>,
): Changes {
  const seen = new Set(look.vms.map(({ vmUuid }) => vmUuid));
  const kept = look.libvirtAnswered
    ? []
    : before.filter((vm) => vm.knownToLibvirt && !vm.hasProcess && !seen.has(vm.vmUuid));
  const now = [...look.vms, ...kept].map((vm) => asCrashed(vm, crashed));
  const here = new Set(now.map(({ vmUuid }) => vmUuid));
  const gone = unique(before.filter(({ vmUuid }) => !here.has(vmUuid)))
    .filter(({ state, hasProcess }) => hasProcess || state !== 'Stopped')
    .map((vm) => asCrashed(asGone(vm), crashed));
  const different = now.filter((vm) => !before.some((old) => same(old, vm)));
  const lost = now.filter(
    (vm) => !different.includes(vm) && countOf(before, vm) > countOf(now, vm),
  );
  return { now, changed: [...different, ...unique(lost), ...gone] };
}

function asGone({ vmUuid, name }: VmSeen): VmSeen {
  return {
    vmUuid,
    name,
    state: 'Stopped',
    epoch: null,
    pid: null,
    startTime: null,
    knownToLibvirt: false,
    hasProcess: false,
  };
}

function asCrashed(vm: VmSeen, crashed: ReadonlySet<string>): VmSeen {
  return vm.state === 'Stopped' && crashed.has(vm.name)
    ? Object.assign(new VmSeen(), vm, { state: 'Crashed' })
    : vm;
}

function same(a: VmSeen, b: VmSeen): boolean {
  return (
    a.vmUuid === b.vmUuid &&
    a.name === b.name &&
    a.state === b.state &&
    a.epoch === b.epoch &&
    a.pid === b.pid &&
    a.startTime === b.startTime &&
    a.knownToLibvirt === b.knownToLibvirt &&
    a.hasProcess === b.hasProcess
  );
}

function countOf(list: readonly VmSeen[], { vmUuid }: VmSeen): number {
  return list.filter((vm) => vm.vmUuid === vmUuid).length;
}

function unique(list: readonly VmSeen[]): VmSeen[] {
  return [...new Map(list.map((vm) => [vm.vmUuid, vm])).values()];
}
