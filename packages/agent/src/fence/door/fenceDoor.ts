/** The second way to this host's fence program (F27): a locked TLS port that needs no sshd. */
export interface FenceDoor {
  /** Its TCP port; undefined: this host has no door. */
  readonly port: number | undefined;
  /** Whether orders of siblings need a token, as for the login; resolves when it is so. */
  want(orders: { orderTokens: boolean }): Promise<void>;
  start(): void;
  /** Ends the care for it; the door itself outlives this agent. */
  stop(): Promise<void>;
}

/** A host without one. */
export const noDoor: FenceDoor = {
  port: undefined,
  want: async () => undefined,
  start: () => undefined,
  stop: async () => undefined,
};
