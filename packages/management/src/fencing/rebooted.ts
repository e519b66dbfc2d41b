import { messageOf } from '@fenceline/common';
import { agentRoutes } from '@fenceline/protocol';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostDirectory } from '../hosts/contracts.js';
import type { Run } from '../vms/runs/run.js';
import { agentAddress } from './peerCall.js';
import type { Judged } from './proof.js';
import { proofByBoot } from './proofs/byBoot.js';

const PING_LIMIT_MS = 3_000;

/** Asks a run's host under which boot it answers. Never throws; kills nothing. */
export type ProveRebooted = (run: Run) => Promise<Judged>;

export function makeProveRebooted({
  gateway,
  directory,
}: {
  gateway: AgentGateway;
  directory: HostDirectory;
}): ProveRebooted {
  return async (run) => {
    const host = await directory.find(run.hostUuid);
    if (host === undefined) return { refused: 'its host is not in the inventory' };
    const ask = { command: {}, deadlineMs: PING_LIMIT_MS };
    return gateway.call(agentAddress(host), agentRoutes.ping, ask).then(
      ({ hostUuid = null, bootId }) => proofByBoot(run, { hostUuid, bootId }),
      (thrown: unknown) => ({ refused: `its agent does not answer (${messageOf(thrown)})` }),
    );
  };
}
