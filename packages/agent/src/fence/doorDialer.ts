import type { Dialed, DialLimits, DialTarget } from './sshDialer.js';

/** Comes to the fence program of a host through its door: mutual TLS, no sshd (F27). */
export interface DoorDialer {
  /**
   * Settles within `totalMs` (plus scheduling) and leaves nothing open when it failed. Never throws.
   * A session lives until it is closed, also when the signal fires later.
   */
  dial(target: Pick<DialTarget, 'addresses' | 'port'>, limits: DialLimits): Promise<Dialed>;
}
