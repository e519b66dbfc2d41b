import type { AddressSigns, Way } from './signsOfLife.js';

export type SignsJudgement =
  /** No sign on any address, and the same nets carried packets to another sibling (F23). */
  | { kind: 'unreachable' }
  /** Something acts there; which, in words of ours. */
  | { kind: 'alive'; signs: string[] }
  /** Neither; `why` says what is missing. */
  | { kind: 'ambiguous'; why: string };

/** The signs of a living kernel that one address showed, in plain words. */
export function signsOf(look: AddressSigns): string[] {
  const tcp = look.tcp
    .filter(({ sign }) => sign === 'accepted' || sign === 'refused')
    .map(({ port, sign }) => `${look.address} tcp:${port} ${sign}`);
  const icmp = look.icmp === 'reply' ? [`${look.address} icmp reply`] : [];
  const neighbour = look.neighbour === 'reachable' ? [`${look.address} neighbour reachable`] : [];
  return [...tcp, ...icmp, ...neighbour];
}

/**
 * F23: is the suspect unreachable, as seen from here? `suspect` has one entry for each known
 * address; `controls` are looks at other siblings, made at the same time.
 */
export function judgeSigns(
  suspect: readonly AddressSigns[],
  controls: readonly AddressSigns[],
): SignsJudgement {
  const signs = suspect.flatMap(signsOf);
  if (signs.length > 0) return { kind: 'alive', signs };
  if (suspect.length === 0) return { kind: 'ambiguous', why: 'no address is known' };
  for (const look of suspect) {
    const why = doubt(look) ?? missingControl(look, controls);
    if (why !== undefined) return { kind: 'ambiguous', why: `${look.address}: ${why}` };
  }
  return { kind: 'unreachable' };
}

/** Why the silence of this address proves nothing; undefined if it counts. */
function doubt(look: AddressSigns): string | undefined {
  const tcp = look.tcp.map(({ sign }) => sign);
  if (tcp.length === 0 || tcp.includes('unknown')) return 'TCP could not be tried';
  // safety: ENETUNREACH speaks about this host's own routes, not about the suspect
  if (tcp.includes('netUnreachable')) return 'no route from here';
  if (look.icmp === 'unknown') return 'ICMP could not be tried';
  if (look.way === undefined) return 'the way to it is not known';
  if (look.way.gateway === undefined)
    // safety: a firewall's reject gives EHOSTUNREACH from a living kernel; only a neighbour entry
    // without an answer tells the two apart
    return look.neighbour === 'failed' ? undefined : 'the neighbour table does not say FAILED';
  // safety: behind a router EHOSTUNREACH is a router's or firewall's word: only silence counts
  return tcp.includes('hostUnreachable') ? 'a router answered for it' : undefined;
}

function missingControl(look: AddressSigns, controls: readonly AddressSigns[]): string | undefined {
  // safety: without a sibling that answers over the same net, the silence may be this host's own
  const reached = controls.some(
    (control) => sameNet(look.way, control.way) && signsOf(control).length > 0,
  );
  return reached ? undefined : 'no sibling answered over the same net';
}

function sameNet(a: Way | undefined, b: Way | undefined): boolean {
  return a !== undefined && b !== undefined && a.device === b.device && a.gateway === b.gateway;
}
