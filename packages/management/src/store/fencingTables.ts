import type { LoginKind } from '@fenceline/protocol';
import type { Generated } from 'kysely';

// What the server needs to reach a host when its agent is gone; part of the schema.

/** The devices of one level must all be off at one moment; levels are tried from 1 on. */
export interface PowerDevicesTable {
  /** Of this device with these parameters: a changed one is another one. */
  uuid: string;
  hostUuid: string;
  level: number;
  /** Within its level, from 1. */
  position: number;
  /** A fence-agents program: a name in PATH or an absolute path. */
  agent: string;
  /** Its parameters as JSON object, sealed with a key that is not in the database (F28). */
  parametersSealed: string;
  /** When a drill last saw that it feeds exactly this host; null = not proven. */
  verifiedAt: string | null;
}

/** One-time order tokens that a host may hold (F29a). */
export interface OrderTokensTable {
  /** Grows; of one host's tokens the older ones have the lower numbers. */
  id: Generated<number>;
  hostUuid: string;
  /** The token, sealed with a key that is not in the database (F28). */
  sealed: string;
  /**
   * `taken`: it may have left, and is never handed out again. `exposed`: a peer had it in hand and
   * did not use it; it serves while the host is ill, and the next deposit drops it.
   */
  state: OrderTokenState;
}

export type OrderTokenState = 'fresh' | 'taken' | 'exposed';

/** How siblings log in to a host that has no entry for their keys (F30). */
export interface HostLoginsTable {
  hostUuid: string;
  kind: LoginKind;
  /** With a key that is not in the database. */
  sealed: string;
}

/** A power command that was given; unresolved until the device's state was read back after it. */
export interface PowerOrdersTable {
  uuid: string;
  hostUuid: string;
  /** The device may be gone by now; its order is not. */
  deviceUuid: string;
  orderedAt: string;
  resolvedAt: string | null;
  result: string | null;
}
