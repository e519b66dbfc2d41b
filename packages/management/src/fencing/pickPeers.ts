import { shuffled, type Random } from '@fenceline/common';
import type { HostInfo } from '../hosts/contracts.js';
import { byUse, type LineSeen } from './lines/lineWatch.js';

/** A host that may be asked, with what is known of it now. */
export interface PeerCandidate {
  host: HostInfo;
  /** Its watch stream is up. */
  linkUp: boolean;
  /** Its fence line to the suspect, as it was told last; absent: it keeps none. */
  line?: LineSeen | undefined;
}

export interface PeerQuestion {
  suspect: HostInfo;
  /** Vetted by the decision, in its order; anything may be in here (F12). */
  hinted: readonly string[];
  candidates: readonly PeerCandidate[];
  crossCluster: boolean;
}

/** Agents older than this don't know the fence route (F15). */
export const FENCE_SINCE_VERSION = '0.1.0';

/**
 * The peers to ask, in order: hinted ones first, then the rest of the cluster, those first that have
 * a fence line to the suspect that answers, the quick ones before the slow ones, the others by
 * chance; every one of them re-validated now; never the suspect (F12, F13).
 */
export function pickPeers(question: PeerQuestion, random: Random): HostInfo[] {
  const eligible = question.candidates.filter((candidate) => isEligible(candidate, question));
  const byUuid = new Map(eligible.map(({ host }) => [host.uuid, host]));
  const hinted = [...new Set(question.hinted)].flatMap((uuid) => byUuid.get(uuid) ?? []);
  const rest = eligible.map(({ host }) => host).filter((host) => !hinted.includes(host));
  const near = rest.filter((host) => host.clusterUuid === question.suspect.clusterUuid);
  const far = rest.filter((host) => host.clusterUuid !== question.suspect.clusterUuid);
  const lines = new Map(eligible.map(({ host, line }) => [host.uuid, line]));
  const inOrder = (hosts: readonly HostInfo[]): HostInfo[] =>
    shuffled(random, hosts).toSorted((a, b) => byLine(lines.get(a.uuid), lines.get(b.uuid)));
  return [...hinted, ...inOrder(near), ...inOrder(far)];
}

/** Where the way to the suspect was measured, the measure decides; else nothing does. */
function byLine(a: LineSeen | undefined, b: LineSeen | undefined): number {
  const [one, two] = [a, b].map((line) => (line?.answers === true ? line : undefined));
  if (one === undefined || two === undefined)
    return Number(two !== undefined) - Number(one !== undefined);
  return byUse(one, two);
}

function isEligible(
  { host, linkUp }: PeerCandidate,
  { suspect, crossCluster }: PeerQuestion,
): boolean {
  // safety: a suspect that fences itself by SSH would vouch for its own death.
  if (host.uuid === suspect.uuid) return false;
  const near = host.clusterUuid === suspect.clusterUuid || crossCluster;
  return (
    near &&
    host.hypervisor === 'KVM' &&
    host.status === 'Connected' &&
    host.state === 'Enabled' &&
    linkUp &&
    !isOlder(host.agentVersion ?? FENCE_SINCE_VERSION, FENCE_SINCE_VERSION)
  );
}

/** Compares dotted versions by number. */
export function isOlder(version: string, than: string): boolean {
  const a = version.split('.').map(Number);
  const b = than.split('.').map(Number);
  for (const i of [0, 1, 2]) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
