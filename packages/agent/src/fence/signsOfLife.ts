/** What one connect attempt to one port showed. */
export type TcpSign =
  | 'accepted'
  | 'refused'
  | 'silent'
  | 'hostUnreachable'
  | 'netUnreachable'
  /** It could not be tried. */
  | 'unknown';

/** State of the neighbour entry after a forced probe. */
export type NeighbourSign =
  /** The other kernel answered the probe. */
  | 'reachable'
  /** FAILED or INCOMPLETE: nobody answered. */
  | 'failed'
  /** Neither: too early, or it can't be read. */
  | 'unknown';

/** How packets to an address leave this host. */
export interface Way {
  device: string;
  /** Absent: on the same link. */
  gateway?: string;
}

/** Everything that one address showed within one look. */
export interface AddressSigns {
  address: string;
  /** Undefined: the routing table could not be asked. */
  way: Way | undefined;
  tcp: { port: number; sign: TcpSign }[];
  icmp: 'reply' | 'silent' | 'unknown';
  neighbour: NeighbourSign;
}

export interface LookTarget {
  addresses: readonly string[];
  /** SSH and agent ports. */
  ports: readonly number[];
}

/** Looks for anything that shows another host's kernel acting (F23). */
export interface SignsOfLife {
  /**
   * Tries every port, ICMP and the neighbour table (with a forced probe) of every address, all at
   * once, until `withinMs` is over. Settles then, plus 300 ms at most; earlier only if each of them has
   * given its last word. Never throws; what could not be looked at is `unknown`.
   */
  look(
    target: LookTarget,
    limits: { withinMs: number; signal: AbortSignal },
  ): Promise<AddressSigns[]>;
}
