import type { SiblingKey } from '@fenceline/protocol';
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
        .filter((key) => key !== null)
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
export function siblingKeysDigest(keys: readonly SiblingKey[]): string {
  return JSON.stringify(keys.map((key) => [key.hostUuid, key.addresses, key.fencePublicKey]));
}
