import { agentRoutes, type VmSeen } from '@fenceline/protocol';
import { agentAddress } from '../fencing/peerCall.js';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostDirectory } from '../hosts/contracts.js';
import type { Run } from './runs/run.js';

/** Longer than an agent waits for a libvirt that hangs; what then comes is a process table. */
const STATUS_LIMIT_MS = 8_000;

/** Asks a host's agent for one VM; undefined if it does not answer in time. */
export async function askStatus(
  deps: { directory: HostDirectory; gateway: AgentGateway },
  { hostUuid, vmUuid }: Pick<Run, 'hostUuid' | 'vmUuid'>,
): Promise<{ vm: VmSeen | undefined; bootId: string } | undefined> {
  const host = await deps.directory.find(hostUuid);
  if (host === undefined) return undefined;
  try {
    const answer = await deps.gateway.call(agentAddress(host), agentRoutes.vmStatus, {
      command: { vmUuid },
      deadlineMs: STATUS_LIMIT_MS,
    });
    return { vm: answer.vm, bootId: answer.bootId };
  } catch {
    return undefined;
  }
}
