import { resolveVerdict, type Clock, type UnreachableFacts } from '@fenceline/common';
import type { HostPresence } from '../../hosts/contracts.js';
import type { MessageBus } from '../../messages/bus.js';
import type { PeerEvidence } from '../../messages/types.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { PeerFencing } from '../peerFencing.js';
import { DyingRuns } from '../dying.js';
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
  const dying = new DyingRuns(deps.clock);
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
      const spared = await spare({ ...deps, dying }, request, signal);
      if (spared !== undefined) return spared;
      const beganMs = deps.clock.monotonicMs();
      const reply = await ask(deps, { request, signal, lookOnly: false });
      if (reply.error !== undefined) {
        const stale = reply.error.code === 'STALE_EPOCH';
        return { channel: 'peer', why: reply.error.message, stale };
      }
      const isDying = dying.noteOrder(request.run, reply.evidence);
      const seen = { ...firstProof(request, reply.evidence), dying: isDying };
      if (seen.proof !== undefined) return seen;
      const { eligibleSiblings = reply.evidence.length } = reply;
      const word = { evidence: reply.evidence, eligibleSiblings, beganMs };
      return bySilence({ ...deps, unchanged }, request, { seen, ...word });
    },
  };
}

/** One round of siblings, called off with the signal. */
async function ask(
  { bus, orders }: PeerChannelDeps,
  { request, signal, lookOnly }: { request: ProofRequest; signal: AbortSignal; lookOnly: boolean },
) {
  const { run, taskUuid, siblingHostUuids, heldBack } = request;
  const order = { hostUuid: run.hostUuid, vmUuid: run.vmUuid, epoch: run.epoch };
  const letGo = orders?.guard(order, heldBack);
  const stop = (): void => orders?.cancel(order);
  signal.addEventListener('abort', stop, { once: true });
  const limits = { taskId: taskUuid, timeoutMs: ROUND_TIMEOUT_MS };
  try {
    return await bus.send('FenceVmOnHost', { ...order, siblingHostUuids, lookOnly, ...limits });
  } finally {
    signal.removeEventListener('abort', stop);
    letGo?.();
  }
}

/**
 * A qemu that was told to die and hangs in its storage needs no second order, and orders use up
 * tokens that only its agent renews: it is looked at first. Undefined: an order is due.
 */
async function spare(
  { dying, ...deps }: PeerChannelDeps & { dying: DyingRuns },
  request: ProofRequest,
  signal: AbortSignal,
): Promise<ChannelResult | undefined> {
  if (!dying.has(request.run)) return undefined;
  const reply = await ask(deps, { request, signal, lookOnly: true });
  const word = dying.judgeLook(request.run, reply.error === undefined ? reply.evidence : []);
  const result = { channel: 'peer' as const, dying: true };
  if (signal.aborted) return { ...result, why: 'not needed any more' };
  if (word === 'still-there')
    return { ...result, why: 'peer said stillAlive: it was told to die, and is there as before' };
  // Whatever comes of it, an attempt of its own gets its order; between attempts none is wasted.
  return word === 'changed' || request.sparing !== true
    ? undefined
    : { ...result, why: 'no order between two attempts: nothing shows that it would help' };
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
  const lookedAtMs = deps.clock.monotonicMs();
  const lastMs = deps.presence.lastSignOfLifeMs(run.hostUuid);
  const facts: UnreachableFacts = {
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
  };
  const judged = proofByUnreachable(run, facts, lookedAtMs);
  return 'proof' in judged
    ? { channel: 'peer', proof: judged.proof, why: `unreachable (${policy})` }
    : { ...seen, why: `${seen.why}; ${judged.refused}` };
}
