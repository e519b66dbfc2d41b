import type { HostInfo } from '../hosts/contracts.js';

/** A host as placement sees it. */
export interface PlacementHost {
  host: HostInfo;
  linkUp: boolean;
  /** Memory of the runs that the ledger has open there. */
  usedMemoryMiB: number;
  openRuns: number;
  /** A power order for it is out and its outcome unknown. */
  powerUnresolved: boolean;
}

export interface PlacementQuestion {
  vm: { uuid: string; clusterUuid: string; memoryMiB: number };
  hosts: readonly PlacementHost[];
  /** Hosts of the VM's open runs: never a destination, whatever their status. */
  suspects: readonly string[];
  /** Tried in vain in this attempt. */
  excluded: readonly string[];
  /** Last resort. */
  softAvoid: readonly string[];
  /** Preferred above all if it fits (a rebooted host, a person's wish). */
  preferred?: string | undefined;
  reserveMemoryMiB: number;
  /** ISO time of day. */
  now: string;
}

export interface Placement {
  /** Best first; empty if none fits. */
  destinations: readonly HostInfo[];
  /** Why each other host was refused, one sentence part each. */
  refusals: readonly { hostUuid: string; host: string; reason: string }[];
}

/** Hard filters with reasons, then the least loaded first; the same input gives the same order. */
export function place(question: PlacementQuestion): Placement {
  const refusals: { hostUuid: string; host: string; reason: string }[] = [];
  const fit: PlacementHost[] = [];
  for (const candidate of question.hosts) {
    const reason = refusalOf(candidate, question);
    if (reason === undefined) fit.push(candidate);
    else refusals.push({ hostUuid: candidate.host.uuid, host: candidate.host.name, reason });
  }
  const destinations = fit
    .toSorted((a, b) => compare(a, b, question))
    .map((candidate) => candidate.host);
  return { destinations, refusals };
}

function refusalOf(candidate: PlacementHost, question: PlacementQuestion): string | undefined {
  const { host } = candidate;
  // safety: whatever its status says, a host whose run is not proven over gets no second one.
  if (question.suspects.includes(host.uuid)) return 'a run of this VM is open there';
  if (host.clusterUuid !== question.vm.clusterUuid) return 'it belongs to another cluster';
  if (host.hypervisor !== 'KVM') return `it is no KVM host (${host.hypervisor})`;
  if (host.state !== 'Enabled') return `it is ${host.state}`;
  if (host.status !== 'Connected') return `it is ${host.status}`;
  if (!candidate.linkUp || host.liveness !== 'online') return `it is ${host.liveness}`;
  if (candidate.powerUnresolved) return 'a power command for it is unresolved';
  if (host.quarantinedUntil !== null && host.quarantinedUntil > question.now)
    return `it is quarantined until ${host.quarantinedUntil}`;
  if (question.excluded.includes(host.uuid)) return 'the start failed there in this attempt';
  const freeMiB = freeMemoryMiB(candidate, question.reserveMemoryMiB);
  if (freeMiB < question.vm.memoryMiB)
    return `it has ${Math.max(0, freeMiB)} MiB free, ${question.vm.memoryMiB} MiB are needed`;
  return undefined;
}

function freeMemoryMiB({ host, usedMemoryMiB }: PlacementHost, reserveMiB: number): number {
  return (host.memoryMiB ?? 0) - reserveMiB - usedMemoryMiB;
}

function compare(a: PlacementHost, b: PlacementHost, question: PlacementQuestion): number {
  const key = (candidate: PlacementHost): number[] => [
    candidate.host.uuid === question.preferred ? 0 : 1,
    question.softAvoid.includes(candidate.host.uuid) ? 1 : 0,
    // A VM that is down is worse than one that somebody could start twice by hand: no filter.
    candidate.host.hookWorking ? 0 : 1,
    -Math.round(shareFree(candidate, question) * 100),
    candidate.openRuns,
  ];
  const [left, right] = [key(a), key(b)];
  for (const [i, value] of left.entries()) {
    const difference = value - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.host.name < b.host.name ? -1 : 1;
}

/** Share of the host's memory that stays free with the VM placed. */
function shareFree(candidate: PlacementHost, question: PlacementQuestion): number {
  const total = Math.max(1, candidate.host.memoryMiB ?? 0);
  const free = freeMemoryMiB(candidate, question.reserveMemoryMiB);
  return (free - question.vm.memoryMiB) / total;
}
