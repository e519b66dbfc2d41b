import { resolveVerdict, type Clock } from '@fenceline/common';
import type { HostPresence } from '../../hosts/contracts.js';
import type { MessageBus } from '../../messages/bus.js';
import type { PeerEvidence } from '../../messages/types.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { PeerFencing } from '../peerFencing.js';
import { proofByPeer } from '../proofs/byPeer.js';
import { proofByUnreachable } from '../proofs/byUnreachable.js';
import { noStorageRecords, UnchangedRecords, type StorageRecords } from '../storageRecords.js';
import type { ChannelResult, ProofChannel, ProofRequest } from './channel.js';

/** Bound on a round of peers: each has its own deadline inside. */
const ROUND_TIMEOUT_MS = 5 * 400_000;

export interface PeerChannelDeps {
  bus: MessageBus;
  settings: SettingsSource;
  clock: Pick<Clock, 'monotonicMs'>;
  presence: Pick<HostPresence, 'lastSignOfLifeMs'>;
  /** The orders of this channel, apart from those for others. */
  orders?: Pick<PeerFencing, 'cancel' | 'guard'>;
  records?: StorageRecords | undefined;
}

/** A sibling logs in to the suspect (F12–F25); what its silence is worth is judged here, too. */
export function peerChannel(deps: PeerChannelDeps): ProofChannel {
  const unchanged = new UnchangedRecords(deps.clock);
  return {
    name: 'peer',
    barredBy: ({ vm, siblingHostUuids, clusterUuid }) => {
      if (vm.hypervisor !== 'KVM') return `a ${vm.hypervisor} VM is not fenced by a peer`;
      const { mode } = deps.settings.current(clusterUuid).ha.preFence;
      return mode === 'whenHinted' && siblingHostUuids.length === 0
        ? 'no vetted siblings were named (ha.preFence.mode is whenHinted)'
        : undefined;
    },
    prove: async (request, signal) => {
      const { run } = request;
      const beganMs = deps.clock.monotonicMs();
      const order = { hostUuid: run.hostUuid, vmUuid: run.vmUuid, epoch: run.epoch };
      const letGo = deps.orders?.guard(order, request.heldBack);
      const stop = (): void => deps.orders?.cancel(order);
      signal.addEventListener('abort', stop, { once: true });
      const reply = await deps.bus.send('FenceVmOnHost', {
        ...order,
        siblingHostUuids: request.siblingHostUuids,
        taskId: request.taskUuid,
        timeoutMs: ROUND_TIMEOUT_MS,
      });
      signal.removeEventListener('abort', stop);
      letGo?.();
      if (reply.error !== undefined) {
        const stale = reply.error.code === 'STALE_EPOCH';
        return { channel: 'peer', why: reply.error.message, stale };
      }
      const seen = firstProof(request, reply.evidence);
      if (seen.proof !== undefined) return seen;
      const { eligibleSiblings = reply.evidence.length } = reply;
      const word = { evidence: reply.evidence, eligibleSiblings, beganMs };
      return bySilence({ ...deps, unchanged }, request, { seen, ...word });
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
  const dying = evidence.some(({ outcome }) => DYING.includes(outcome));
  return { channel: 'peer', why: [...new Set(reasons)].join('; ') || 'no peer answered', dying };
}

/** The order reached it, and only its end is missing. */
const DYING: readonly string[] = ['stillAlive', 'notDrained', 'otherWriter'];

interface Silence {
  seen: ChannelResult;
  evidence: readonly PeerEvidence[];
  eligibleSiblings: number;
  beganMs: number;
}

/** `hostUnreachable`, where the policy of the host's cluster allows it and everything fits. */
async function bySilence(
  deps: PeerChannelDeps & { unchanged: UnchangedRecords },
  { run, vm, clusterUuid }: ProofRequest,
  { seen, evidence, eligibleSiblings, beganMs }: Silence,
): Promise<ChannelResult> {
  const { policy, minSiblings } = deps.settings.current(clusterUuid).ha.unreachable;
  if (!evidence.some((one) => resolveVerdict(one) === 'unreachable')) return seen;
  if (policy === 'never')
    return { ...seen, why: `${seen.why}; silence proves nothing (ha.unreachable.policy is never)` };
  const records = await (deps.records ?? noStorageRecords).read(run, vm);
  // safety: after everything else was read: whoever acted meanwhile is alive.
  const lastMs = deps.presence.lastSignOfLifeMs(run.hostUuid);
  const judged = proofByUnreachable(run, {
    policy,
    minSiblings,
    eligibleSiblings,
    siblings: evidence.map((one) => ({
      hostUuid: one.peerHostUuid,
      outcome: one.outcome,
      verdict: {
        success: one.success ?? null,
        qemuConfirmedDead: one.qemuConfirmedDead ?? null,
        qemuStillAlive: one.qemuStillAlive ?? null,
        targetHostUnreachable: one.targetHostUnreachable ?? null,
      },
    })),
    signOfLife: lastMs !== undefined && lastMs >= beganMs,
    records: deps.unchanged.note(run.hostUuid, records),
  });
  return 'proof' in judged
    ? { channel: 'peer', proof: judged.proof, why: `unreachable (${policy})` }
    : { ...seen, why: `${seen.why}; ${judged.refused}` };
}
