import type { Logger } from '@fenceline/common';
import { agentRoutes, type DiskRef, type FenceTarget } from '@fenceline/protocol';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostInfo } from '../hosts/contracts.js';
import type { FenceVmOnHostMsg, PeerEvidence } from '../messages/types.js';
import type { SettingsSource } from '../settings/settings.js';
import { credentialFor, type CredentialDeps } from './credential.js';
import { evidenceOf } from './peerAnswer.js';
import type { TakenTokens } from './tokens/orderTokens.js';

const MAX_CONTROLS = 3;
/** What the call may take beyond the peer's own time (F16). */
const CALL_MARGIN_MS = 10_000;

export interface PeerCallDeps extends CredentialDeps {
  gateway: AgentGateway;
  settings: SettingsSource;
}

export interface Order {
  message: FenceVmOnHostMsg;
  disks: readonly DiskRef[];
  cancelled: AbortSignal;
  /** Why no further peer may be asked; absent: nobody has a say. */
  heldBack?: (() => string | undefined) | undefined;
}

/** What came of one order so far. */
export interface Asked {
  order: Order;
  evidence: PeerEvidence[];
  failures: string[];
  stale: boolean;
  finished: boolean;
  eligibleSiblings: number;
}

/** `look`: what is there? Nothing is killed, and nothing is proven. */
export type Mode = 'fence' | 'look';

export interface Question {
  mode: Mode;
  suspect: HostInfo;
  peer: HostInfo;
  controls: readonly HostInfo[];
  tokens: TakenTokens;
}

/** One peer is asked about all these VMs; what it says of each. @throws what the call throws. */
export async function callPeer(
  deps: PeerCallDeps,
  { suspect, peer, controls, tokens, mode, log }: Question & { log: Logger },
  asked: readonly Asked[],
): Promise<(PeerEvidence | undefined)[]> {
  const { gateway } = deps;
  const preFence = deps.settings.current().ha.preFence;
  const credential = await credentialFor(deps, { peer, suspect, log });
  const agent = agentAddress(peer);
  const target = {
    targetHostUuid: suspect.uuid,
    targetHostIp: suspect.addresses[0] ?? '',
    targetAddresses: [...suspect.addresses],
    targetAgentPort: suspect.agentPort,
    targetHostKeys: [...suspect.sshHostKeys],
    controls: controlsFor(controls, peer, suspect),
    targetHostSshPort: suspect.sshPort,
    targetHostUsername: suspect.sshUsername,
    sshTimeoutSec: preFence.sshTimeoutSec,
    connectTimeoutMs: preFence.connectTimeoutMs,
    killGraceMs: preFence.killGraceMs,
    ...tokensOf(tokens),
    ...(mode === 'look' ? { lookOnly: true } : {}),
    ...taskIdOf(asked),
    ...(credential === undefined ? {} : { credential }),
  } satisfies FenceTarget;
  // F16: a deadline of its own, never one inherited from whoever asked.
  const deadlineMs = preFence.sshTimeoutSec * 1_000 + CALL_MARGIN_MS;
  const signal = whenAllCancelled(asked);
  const vms = vmsOf(asked);
  const [only, ...more] = vms;
  if (only !== undefined && more.length === 0) {
    const command = { ...target, ...only };
    const answer = await gateway.call(agent, agentRoutes.fenceVm, { command, deadlineMs, signal });
    await tokens.giveBack(answer.unusedOrderTokens);
    return asked.map(() => evidenceOf(peer.uuid, answer, answer));
  }
  const command = { ...target, vms };
  const answer = await gateway.call(agent, agentRoutes.fenceVms, { command, deadlineMs, signal });
  await tokens.giveBack(answer.unusedOrderTokens);
  const byVm = new Map(answer.verdicts.map((verdict) => [verdict.vmUuid, verdict]));
  return asked.map(({ order }) => {
    const verdict = byVm.get(order.message.vmUuid);
    return verdict === undefined ? undefined : evidenceOf(peer.uuid, answer, verdict);
  });
}

/** The one place where they are in clear: on their way to the peer. */
function tokensOf({ tokens }: TakenTokens): Pick<FenceTarget, 'orderToken' | 'spareOrderTokens'> {
  const [orderToken, ...spareOrderTokens] = tokens.map((token) => token.reveal());
  return { ...(orderToken === undefined ? {} : { orderToken }), spareOrderTokens };
}

/** safety: a call is broken off only if nobody of the batch waits for its answer any more. */
function whenAllCancelled(asked: readonly Asked[]): AbortSignal {
  const all = new AbortController();
  const signals = asked.map(({ order }) => order.cancelled);
  const look = (): void => {
    if (signals.every(({ aborted }) => aborted)) all.abort(new Error('not needed any more'));
  };
  for (const signal of signals) signal.addEventListener('abort', look, { once: true });
  look();
  return all.signal;
}

/** Each VM once: of two runs of one VM on this host the higher epoch closes both. */
function vmsOf(asked: readonly Asked[]) {
  const byVm = new Map<string, { vmUuid: string; fenceEpoch: number; disks: DiskRef[] }>();
  for (const { order } of asked) {
    const { vmUuid, epoch } = order.message;
    const fenceEpoch = Math.max(epoch, byVm.get(vmUuid)?.fenceEpoch ?? 0);
    byVm.set(vmUuid, { vmUuid, fenceEpoch, disks: [...order.disks] });
  }
  return [...byVm.values()];
}

export function taskIdOf(asked: readonly Asked[]): { taskId?: string } {
  const taskId = asked.find(({ order }) => order.message.taskId)?.order.message.taskId;
  return taskId === undefined ? {} : { taskId };
}

function controlsFor(hosts: readonly HostInfo[], peer: HostInfo, suspect: HostInfo) {
  return hosts
    .filter((host) => host.uuid !== peer.uuid && host.uuid !== suspect.uuid)
    .slice(0, MAX_CONTROLS)
    .map((host) => ({
      hostUuid: host.uuid,
      addresses: [...host.addresses],
      agentPort: host.agentPort,
      sshPort: host.sshPort,
    }));
}

/** Where a host's agent is dialled. */
export function agentAddress(host: HostInfo) {
  return { hostUuid: host.uuid, address: host.addresses[0] ?? '', port: host.agentPort };
}
