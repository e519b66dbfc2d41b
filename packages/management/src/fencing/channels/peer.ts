import type { MessageBus } from '../../messages/bus.js';
import type { PeerEvidence } from '../../messages/types.js';
import type { SettingsSource } from '../../settings/settings.js';
import { proofByPeer } from '../proofs/byPeer.js';
import type { ChannelResult, ProofChannel, ProofRequest } from './channel.js';

/** Bound on a round of peers: each has its own deadline inside. */
const ROUND_TIMEOUT_MS = 5 * 400_000;

/** A sibling logs in to the suspect (F12–F25). */
export function peerChannel(deps: { bus: MessageBus; settings: SettingsSource }): ProofChannel {
  return {
    name: 'peer',
    barredBy: ({ vm, siblingHostUuids }) => {
      if (vm.hypervisor !== 'KVM') return `a ${vm.hypervisor} VM is not fenced by a peer`;
      const { mode } = deps.settings.current().ha.preFence;
      return mode === 'whenHinted' && siblingHostUuids.length === 0
        ? 'no vetted siblings were named (ha.preFence.mode is whenHinted)'
        : undefined;
    },
    prove: async (request) => {
      const { run } = request;
      const reply = await deps.bus.send('FenceVmOnHost', {
        hostUuid: run.hostUuid,
        vmUuid: run.vmUuid,
        epoch: run.epoch,
        siblingHostUuids: request.siblingHostUuids,
        taskId: request.taskUuid,
        timeoutMs: ROUND_TIMEOUT_MS,
      });
      if (reply.error !== undefined) {
        const stale = reply.error.code === 'STALE_EPOCH';
        return { channel: 'peer', why: reply.error.message, stale };
      }
      return firstProof(request, reply.evidence);
    },
  };
}

function firstProof({ run, vm }: ProofRequest, evidence: readonly PeerEvidence[]): ChannelResult {
  const reasons: string[] = [];
  for (const one of evidence) {
    const judged = proofByPeer(run, one, vm.disks);
    if ('proof' in judged)
      return { channel: 'peer', proof: judged.proof, why: `peer said ${one.outcome}` };
    reasons.push(one.detail === undefined ? judged.refused : `${judged.refused}: ${one.detail}`);
  }
  return { channel: 'peer', why: [...new Set(reasons)].join('; ') || 'no peer answered' };
}
