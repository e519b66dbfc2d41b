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
export type CloseOnHost = (run: Run, vm: Vm, options: CloseOptions) => Promise<Judged>;

export interface CloseOptions {
  stop: boolean;
  gracefulMs: number;
  taskUuid: string | null;
  /** Nobody waits for it any more. */
  signal?: AbortSignal;
  /** Asked once more right before the order: why it may not be given. */
  heldBack?: () => string | undefined;
}

/** @returns a function that never throws: a failed call is a refusal with its reason. */
export function makeCloseOnHost(deps: OwnAgentDeps): CloseOnHost {
  return async (run, vm, { stop, gracefulMs, taskUuid, signal, heldBack }) => {
    const host = await deps.directory.find(run.hostUuid);
    if (host === undefined) return { refused: 'its host is not in the inventory' };
    // A dead host must not cost the whole deadline of a kill: first, does anybody answer?
    const silence = await silenceOf(deps, host, signal);
    if (silence !== undefined) return { refused: `its agent does not answer (${silence})` };
    // safety: F41: whatever stands on the silence of this host is void from here on.
    deps.presence?.noteSignOfLife(host.uuid, 'its agent answered');
    // safety: it answers, so it may be the host that came back with its VM in good health.
    const held = signal?.aborted === true ? 'not needed any more' : heldBack?.();
    if (held !== undefined) return { refused: held };
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
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (thrown) {
      return { refused: `its agent did not answer (${messageOf(thrown)})` };
    }
    return proofByAgent({ run, answer, vmDisks: vm.disks, stop });
  };
}

/** Asks for nothing that libvirt would have to answer: it may hang while the agent works. */
async function silenceOf(
  { gateway }: OwnAgentDeps,
  host: HostInfo,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const ask = {
    ...{ command: {}, deadlineMs: PING_LIMIT_MS },
    ...(signal === undefined ? {} : { signal }),
  };
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
    prove: async ({ run, vm, taskUuid, heldBack }, signal) => {
      const order = { stop: false, gracefulMs: 0, taskUuid, signal, heldBack };
      const judged = await close(run, vm, order);
      return 'proof' in judged
        ? { channel: 'own-agent', proof: judged.proof, why: 'its agent proved it' }
        : { channel: 'own-agent', why: judged.refused };
    },
  };
}
