import type { FencerView, HostView } from '@fenceline/protocol';
import type { LineSeen } from '../../fencing/lines/lineWatch.js';
import type { Queryable } from '../../store/store.js';
import { peersOf, type HostFacts } from '../rules/protection.js';
import { hostFacts } from './hosts.js';

/** In a big cluster everybody can fence everybody; nobody reads all the names. */
const MAX_PEERS_SHOWN = 16;

/** What hosts told of their readiness in their heartbeats, from memory. */
export interface FencingSeen {
  /** The lines to a host, best first. */
  linesTo(hostUuid: string): readonly LineSeen[];
  /** Since when it has had no standing one, if that has lasted; ISO 8601. */
  missingSince(hostUuid: string): string | undefined;
  /** Order tokens that it holds. */
  orderTokens(hostUuid: string): number | undefined;
}

/** The siblings that could fence a host now, those with a line first, then by name. */
export function fencersOf(
  peers: readonly Pick<HostFacts, 'uuid' | 'name'>[],
  lines: readonly LineSeen[],
): FencerView[] {
  const places = new Map(lines.map(({ keeperUuid }, place) => [keeperUuid, place]));
  const placeOf = (uuid: string): number => places.get(uuid) ?? lines.length;
  return peers
    .toSorted((a, b) => placeOf(a.uuid) - placeOf(b.uuid))
    .slice(0, MAX_PEERS_SHOWN)
    .map(({ uuid, name }) => {
      const line = lines[placeOf(uuid)];
      const { state = null, roundTripMs = null, ways = [] } = line ?? {};
      return { uuid, name, line: state, ways: [...ways], roundTripMs };
    });
}

/** The hosts with what is known of how they could be fenced. */
export async function withFencing(
  hosts: readonly HostView[],
  on: Queryable,
  { seen, crossClusterOf }: { seen: FencingSeen; crossClusterOf: (clusterUuid: string) => boolean },
): Promise<HostView[]> {
  const facts = await hostFacts(on);
  const byUuid = new Map(facts.map((one) => [one.uuid, one]));
  return hosts.map((host) => {
    const suspect = byUuid.get(host.uuid);
    const peers =
      suspect?.hypervisor === 'KVM'
        ? peersOf(suspect, facts, crossClusterOf(suspect.clusterUuid))
        : [];
    const canBeFencedBy = fencersOf(peers, seen.linesTo(host.uuid));
    const noFenceLineSince = seen.missingSince(host.uuid) ?? null;
    const orderTokens = seen.orderTokens(host.uuid) ?? null;
    return Object.assign({}, host, { canBeFencedBy, noFenceLineSince, orderTokens });
  });
}
