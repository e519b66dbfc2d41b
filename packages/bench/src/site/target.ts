import type { FenceTarget } from '@fenceline/protocol';
import type { BenchHost } from './site.js';

/** A suspect as the server describes it to a peer, with a sibling as the control; else the defaults. */
export function targetOf(suspect: BenchHost, control: BenchHost) {
  const { host, hostUuid, hostKey } = suspect;
  return {
    targetHostUuid: hostUuid,
    targetHostIp: host.address,
    targetAddresses: [host.address],
    targetHostKeys: [hostKey],
    controls: [{ hostUuid: control.hostUuid, addresses: [control.host.address] }],
  } satisfies Partial<FenceTarget>;
}
