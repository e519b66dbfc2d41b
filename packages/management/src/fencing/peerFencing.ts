import type { Logger, Random } from '@fenceline/common';
import {
  agentRoutes,
  DomainError,
  MAX_VMS_PER_FENCE,
  type DiskRef,
  type FenceTarget,
} from '@fenceline/protocol';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostDirectory, HostInfo, HostPresence } from '../hosts/contracts.js';
import type { FenceVmOnHostMsg, FenceVmOnHostReply, PeerEvidence } from '../messages/types.js';
import type { SettingsSource } from '../settings/settings.js';
import type { Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import { findVm } from '../vms/vm.js';
import { makeBatcher } from './batch.js';
import { afterEvidence, afterFailure, evidenceOf, type PeerFailure } from './peerAnswer.js';
import type { LineSeen } from './lines/lineWatch.js';
import { pickPeers } from './pickPeers.js';
import type { OrderTokens, TakenTokens } from './tokens/orderTokens.js';

/** Each sibling is asked at most once, and not more than so many of them (F14). */
const MAX_PEERS_ASKED = 5;
const MAX_CONTROLS = 3;
/** What the call may take beyond the peer's own time (F16). */
const CALL_MARGIN_MS = 10_000;

export interface PeerFencingDeps {
  store: Store;
  directory: HostDirectory;
  presence: HostPresence;
  gateway: AgentGateway;
  settings: SettingsSource;
  random: Random;
  events: Events;
  log: Logger;
  tokens: Pick<OrderTokens, 'take' | 'hold'>;
  lines: { linesTo(hostUuid: string): readonly LineSeen[] };
}

/** Handles `FenceVmOnHost`: finds peers, asks them, gathers what they say. Decides nothing. */
export interface PeerFencing {
  /** @throws DomainError STALE_EPOCH if a newer run exists on the suspect. */
  fence(message: FenceVmOnHostMsg): Promise<FenceVmOnHostReply>;
}

interface Order {
  message: FenceVmOnHostMsg;
  disks: readonly DiskRef[];
}

interface Asked {
  order: Order;
  evidence: PeerEvidence[];
  failures: string[];
  stale: boolean;
  finished: boolean;
}

export function makePeerFencing(deps: PeerFencingDeps): PeerFencing {
  const batcher = makeBatcher<Order, Asked>(MAX_VMS_PER_FENCE, (suspectUuid, orders) =>
    fenceBatch(deps, suspectUuid, orders),
  );
  return {
    async fence(message) {
      const vm = await findVm(deps.store.db, message.vmUuid);
      if (vm === undefined) throw new DomainError('NOT_FOUND', `no VM ${message.vmUuid}`);
      const asked = await batcher.add(message.hostUuid, { message, disks: vm.disks });
      if (asked.stale)
        throw new DomainError('STALE_EPOCH', `a run newer than ${message.epoch} exists`);
      if (asked.evidence.length === 0)
        throw new DomainError('REFUSED', asked.failures.join('; ') || 'no sibling can be asked');
      return { evidence: asked.evidence };
    },
  };
}

async function fenceBatch(
  deps: PeerFencingDeps,
  suspectUuid: string,
  orders: readonly Order[],
): Promise<Asked[]> {
  const all = orders.map((order): Asked => ({
    order,
    evidence: [],
    failures: [],
    stale: false,
    finished: false,
  }));
  const suspect = await deps.directory.find(suspectUuid);
  if (suspect === undefined) throw new DomainError('NOT_FOUND', `no host ${suspectUuid}`);
  const hosts = await deps.directory.all();
  const lines = new Map(deps.lines.linesTo(suspectUuid).map((line) => [line.keeperUuid, line]));
  const candidates = hosts.map((host) => ({
    host,
    linkUp: deps.presence.linkUp(host.uuid),
    line: lines.get(host.uuid),
  }));
  const { crossCluster } = deps.settings.current().ha.preFence;
  const hinted = orders.flatMap(({ message }) => message.siblingHostUuids);
  const peers = pickPeers({ suspect, hinted, candidates, crossCluster }, deps.random);
  const letGo = deps.tokens.hold(suspectUuid);
  try {
    await askInTurn(deps, { suspect, peers }, all);
  } finally {
    letGo();
  }
  return all;
}

/** Each sibling once, in their order, as long as a VM is left without an answer (F14). */
async function askInTurn(
  deps: PeerFencingDeps,
  { suspect, peers }: { suspect: HostInfo; peers: readonly HostInfo[] },
  all: readonly Asked[],
): Promise<void> {
  for (const peer of peers.slice(0, MAX_PEERS_ASKED)) {
    const open = all.filter(({ finished }) => !finished);
    if (open.length === 0) return;
    const tokens = await deps.tokens.take(suspect).catch(refusalOf);
    if (typeof tokens === 'string') {
      // Another peer would have none either (F29a).
      for (const one of open) one.failures.push(tokens);
      return;
    }
    await askPeer(deps, { suspect, peer, controls: peers, tokens }, open);
  }
}

/** Why no order may be given now. @throws what is no refusal. */
function refusalOf(thrown: unknown): string {
  if (thrown instanceof DomainError && thrown.code === 'REFUSED') return thrown.message;
  throw thrown;
}

interface Question {
  suspect: HostInfo;
  peer: HostInfo;
  controls: readonly HostInfo[];
  tokens: TakenTokens;
}

async function askPeer(
  deps: PeerFencingDeps,
  question: Question,
  asked: readonly Asked[],
): Promise<void> {
  // F31: one search for a VM's uuid tells the story on all machines.
  const vms = asked.map(({ order }) => order.message.vmUuid).join(',');
  const prefix = `[HA pre-fence vm=${vms} suspect=${question.suspect.uuid} peer=${question.peer.uuid}]`;
  const log = deps.log.child(taskIdOf(asked), prefix);
  log.info('asking a peer to fence');
  try {
    const evidence = await callPeer(deps, question, asked);
    for (const [i, one] of asked.entries()) {
      const said = evidence[i];
      if (said === undefined) continue;
      one.evidence.push(said);
      const step = afterEvidence(said);
      one.stale = step === 'stale';
      one.finished = step !== 'next';
      log.info('a peer answered', { vm: one.order.message.vmUuid, outcome: said.outcome, step });
      if (said.outcome !== 'unreachable' && said.hostUuid === question.suspect.uuid)
        deps.presence.noteSignOfLife(question.suspect.uuid, `answered peer ${question.peer.name}`);
    }
  } catch (thrown) {
    const failure = afterFailure(thrown);
    await reportFailure(deps, { ...question, log }, failure);
    for (const one of asked) {
      one.failures.push(`peer ${question.peer.name}: ${failure.why}`);
      one.stale = failure.step === 'stale';
      one.finished = failure.step !== 'next';
    }
  }
}

async function reportFailure(
  deps: PeerFencingDeps,
  { peer, suspect, log }: Question & { log: Logger },
  failure: PeerFailure,
): Promise<void> {
  if (failure.endpointMissing)
    log.warn('agent endpoint not found', { host: peer.name, version: peer.agentVersion });
  else log.warn('a peer did not answer', { peer: peer.name, why: failure.why });
  if (failure.alarm)
    await deps.events.record({
      kind: 'ha.fence.defect',
      severity: 'critical',
      hostUuid: peer.uuid,
      text: `host ${peer.name} refused to fence ${suspect.name}: ${failure.why}`,
    });
}

async function callPeer(
  { gateway, settings }: PeerFencingDeps,
  { suspect, peer, controls, tokens }: Question,
  asked: readonly Asked[],
): Promise<(PeerEvidence | undefined)[]> {
  const preFence = settings.current().ha.preFence;
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
    ...taskIdOf(asked),
  } satisfies FenceTarget;
  // F16: a deadline of its own, never one inherited from whoever asked.
  const deadlineMs = preFence.sshTimeoutSec * 1_000 + CALL_MARGIN_MS;
  const vms = vmsOf(asked);
  const [only, ...more] = vms;
  if (only !== undefined && more.length === 0) {
    const command = { ...target, ...only };
    const answer = await gateway.call(agent, agentRoutes.fenceVm, { command, deadlineMs });
    return asked.map(() => evidenceOf(peer.uuid, answer, answer));
  }
  const command = { ...target, vms };
  const answer = await gateway.call(agent, agentRoutes.fenceVms, { command, deadlineMs });
  const byVm = new Map(answer.verdicts.map((verdict) => [verdict.vmUuid, verdict]));
  return asked.map(({ order }) => {
    const verdict = byVm.get(order.message.vmUuid);
    return verdict === undefined ? undefined : evidenceOf(peer.uuid, answer, verdict);
  });
}

/** The one place where they are in clear: on their way to the peer. */
function tokensOf({ orderToken, spareOrderToken }: TakenTokens): Partial<FenceTarget> {
  return {
    ...(orderToken === undefined ? {} : { orderToken: orderToken.reveal() }),
    ...(spareOrderToken === undefined ? {} : { spareOrderToken: spareOrderToken.reveal() }),
  };
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

function taskIdOf(asked: readonly Asked[]): { taskId?: string } {
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
