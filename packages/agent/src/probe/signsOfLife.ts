/** Where to look for signs of life. */
export interface LifeTarget {
  addresses: readonly string[];
  agentPort: number;
  sshPort: number;
}

/** Anything that shows a host's kernel or a process of it acting (GLOSSARY: sign of life). */
export interface SignsOfLife {
  /**
   * Looks on every address at once: TCP to both ports (also a refusal is a sign), ICMP, neighbour
   * table. Answers the signs in plain words, `tcp:22 refused at 192.0.2.1`; empty: none. Settles
   * within `limitMs`; never throws.
   */
  look(target: LifeTarget, limitMs: number, signal: AbortSignal): Promise<string[]>;
}

/** Asks an agent for an echo, over mutual TLS with this host's certificate. */
export interface EchoCaller {
  /**
   * The uuid that the agent behind this address answers with, undefined if it has none yet.
   * @throws Error if no valid echo of the nonce came within `limitMs`.
   */
  echo(
    at: { address: string; port: number; nonce: string },
    limitMs: number,
    signal: AbortSignal,
  ): Promise<string | undefined>;
}
