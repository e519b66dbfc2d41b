/** A host in the question who keeps a fence line to whom. */
export interface SpreadHost {
  uuid: string;
  clusterUuid: string;
  /** It can keep lines now: a peer could be asked there. */
  canKeep: boolean;
}

/**
 * F27: which hosts each host keeps a line to. The hosts of a cluster stand in a ring, in the order of
 * their uuids; each is reached by the next `perHost` hosts behind it that can keep lines.
 *
 * So while all can, everyone has `perHost` lines (or all others), and everyone keeps as many. A host
 * that comes or goes moves only lines of its own and of the `perHost` hosts before it. A host that
 * can't keep lines any more costs nobody the lines *to* it: they are needed just then. Its own ones
 * are taken over by the next behind it, which keep more for that time: few moves count for more
 * than an even spread, as a moved line is none until it stands.
 *
 * @returns for every host the uuids of those it keeps lines to, in the order of the ring.
 */
export function spreadLines(hosts: readonly SpreadHost[], perHost: number): Map<string, string[]> {
  const kept = new Map(hosts.map(({ uuid }): [string, string[]] => [uuid, []]));
  for (const clusterUuid of new Set(hosts.map((host) => host.clusterUuid))) {
    const ring = hosts
      .filter((host) => host.clusterUuid === clusterUuid)
      .toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1));
    for (const [place, host] of ring.entries())
      for (const keeper of keepersOf(ring, place, perHost)) kept.get(keeper)?.push(host.uuid);
  }
  return kept;
}

/** The next hosts behind this place that can keep a line to it. */
function keepersOf(ring: readonly SpreadHost[], place: number, perHost: number): string[] {
  const behind = [...ring.slice(place + 1), ...ring.slice(0, place)];
  return behind
    .filter(({ canKeep }) => canKeep)
    .slice(0, perHost)
    .map(({ uuid }) => uuid);
}
