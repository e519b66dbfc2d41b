import type { SiblingKey } from '@fenceline/protocol';

/** How siblings get in to fence this host, and how this host gets in at siblings (F29). */
export interface FenceAccess {
  /** Public half of this host's own fence key, `ssh-ed25519 …`. */
  publicKey(): Promise<string>;
  /**
   * Installs the fence program and lets exactly these siblings run it, from their addresses only;
   * entries of hosts that are not in the list disappear, other people's entries stay.
   * `orderTokens` (absent: no): an order to fence needs a token deposited on this host (F29a).
   * @throws Error that says what could not be written.
   */
  install(siblings: readonly SiblingKey[], orders?: { orderTokens: boolean }): Promise<void>;
}
