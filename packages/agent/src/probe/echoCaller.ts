/** Asks an agent for an echo, over mutual TLS with this host's certificate. */
export interface EchoCaller {
  /**
   * The uuid that the agent behind this address answers with, undefined if it has none yet.
   * @throws Error if no valid echo of the nonce came within `limitMs`.
   */
  echo(
    at: { address: string; port: number; nonce: string },
    limits: { limitMs: number; signal: AbortSignal },
  ): Promise<string | undefined>;
}
