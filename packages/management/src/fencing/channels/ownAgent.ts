import { messageOf } from '@fenceline/common';
import { agentRoutes, type DestroyVmCmd, type DestroyVmRsp } from '@fenceline/protocol';
import type { AgentGateway } from '../../hosts/agentGateway.js';
import type { HostDirectory, HostInfo, HostPresence } from '../../hosts/contracts.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { Run } from '../../vms/runs/run.js';
import type { Vm } from '../../vms/vm.js';
import { agentAddress } from '../peerCall.js';
import type { Judged } from '../proof.js';
import { proofByAgent } from '../proofs/byAgent.js';
import type { ProofChannel } from './channel.js';

const CALL_MARGIN_MS = 10_000;
const PING_LIMIT_MS = 3_000;

export interface OwnAgentDeps {
  gateway: AgentGateway;
  directory: HostDirectory;
  settings: SettingsSource;
  presence?: Pick<HostPresence, 'noteSignOfLife'>;
}

/** The run's own host closes it, behind a barrier; the caller names why. */
export type CloseOnHost = (
  run: Run,
  vm: Vm,
  options: { stop: boolean; gracefulMs: number; taskUuid: string | null },
) => Promise<Judged>;

/** @returns a function that never throws: a failed call is a refusal with its reason. */
export function makeCloseOnHost(deps: OwnAgentDeps): CloseOnHost {
  return async (run, vm, { stop, gracefulMs, taskUuid }) => {
    const host = await deps.directory.find(run.hostUuid);
    if (host === undefined) return { refused: 'its host is not in the inventory' };
    // A dead host must not cost the whole deadline of a kill: first, does anybody answer?
    const silence = await silenceOf(deps, host);
    if (silence !== undefined) return { refused: `its agent does not answer (${silence})` };
    // safety: F41: whatever stands on the silence of this host is void from here on.
    deps.presence?.noteSignOfLife(host.uuid, 'its agent answered');
    const { sshTimeoutSec, killGraceMs } = deps.settings.current().ha.preFence;
    const timeoutMs = sshTimeoutSec * 1_000;
    const command: DestroyVmCmd = {
      vmUuid: run.vmUuid,
      fenceEpoch: run.epoch,
      disks: [...vm.disks],
      purpose: stop ? 'stop' : 'fence',
      gracefulMs,
      timeoutMs,
      killGraceMs,
      ...(taskUuid === null ? {} : { taskId: taskUuid }),
    };
    let answer: DestroyVmRsp;
    try {
      const deadlineMs = timeoutMs + gracefulMs + CALL_MARGIN_MS;
      answer = await deps.gateway.call(agentAddress(host), agentRoutes.vmDestroy, {
        command,
        deadlineMs,
      });
    } catch (thrown) {
      return { refused: `its agent did not answer (${messageOf(thrown)})` };
    }
    return proofByAgent({ run, answer, vmDisks: vm.disks, stop });
  };
}

/** Asks for nothing that libvirt would have to answer: it may hang while the agent works. */
async function silenceOf({ gateway }: OwnAgentDeps, host: HostInfo): Promise<string | undefined> {
  const ask = { command: {}, deadlineMs: PING_LIMIT_MS };
  return gateway.call(agentAddress(host), agentRoutes.ping, ask).then(
    () => undefined,
    (thrown: unknown) => messageOf(thrown),
  );
}

/** The suspect's own agent says that its VM is not running, and keeps it so. */
export function ownAgentChannel(close: CloseOnHost): ProofChannel {
  return {
    name: 'own-agent',
    barredBy: () => undefined,
    prove: async ({ run, vm, taskUuid }) => {
      const judged = await close(run, vm, { stop: false, gracefulMs: 0, taskUuid });
      return 'proof' in judged
        ? { channel: 'own-agent', proof: judged.proof, why: 'its agent proved it' }
        : { channel: 'own-agent', why: judged.refused };
    },
  };
}
