import { isFenceKey, type SiblingKey } from '@fenceline/protocol';
import type { SettingsSource } from '../../settings/settings.js';
import type { Host } from '../host.js';

/** As many as one connect can carry. */
const MAX_SIBLINGS = 1_024;

/**
 * F29: the fence keys that a host has to let in: those of the other hosts of its cluster that
 * have one, each from its own addresses only. Of a host that is about to change its key, both.
 * Always in the same order.
 */
export function siblingKeysFor(
  host: Pick<Host, 'uuid' | 'clusterUuid'>,
  hosts: readonly Host[],
): SiblingKey[] {
  return hosts
    .filter((other) => other.uuid !== host.uuid && other.clusterUuid === host.clusterUuid)
    .flatMap(({ uuid, addresses, fencePublicKey, nextFencePublicKey }) =>
      [...new Set([fencePublicKey, nextFencePublicKey])]
        // safety: one that can't be told is left out, or none of the others could be told anything.
        .filter(isFenceKey)
        .map((key) => ({
          hostUuid: uuid,
          addresses: addresses.slice(0, 16),
          fencePublicKey: key,
        })),
    )
    .sort((a, b) => (a.hostUuid < b.hostUuid ? -1 : 1))
    .slice(0, MAX_SIBLINGS);
}

/** The same for the same keys; compared to know whether a host has to be told. */
export function siblingKeysDigest(told: {
  siblings: readonly SiblingKey[];
  orderTokens: boolean;
}): string {
  const keys = told.siblings.map((key) => [key.hostUuid, key.addresses, key.fencePublicKey]);
  return JSON.stringify([told.orderTokens, keys]);
}

/** F29a: whether an order of a sibling needs a token of the host that it is for. */
export function asksForTokens(settings: SettingsSource): boolean {
  return settings.current().ha.preFence.orderTokens > 0;
}
