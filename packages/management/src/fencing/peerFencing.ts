import type { Logger, Random } from '@fenceline/common';
import { DomainError, MAX_VMS_PER_FENCE, TransportError } from '@fenceline/protocol';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostDirectory, HostInfo, HostPresence } from '../hosts/contracts.js';
import type { FenceVmOnHostMsg, FenceVmOnHostReply } from '../messages/types.js';
import type { SettingsSource } from '../settings/settings.js';
import type { Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import { findVm } from '../vms/vm.js';
import { makeBatcher } from './batch.js';
import type { CredentialDeps } from './credential.js';
import { afterEvidence, afterFailure, type PeerFailure } from './peerAnswer.js';
import {
  callPeer,
  taskIdOf,
  type Asked,
  type Mode,
  type Order,
  type Question,
} from './peerCall.js';
import type { LineSeen } from './lines/lineWatch.js';
import { pickPeers } from './pickPeers.js';
import type { OrderTokens, TakenTokens } from './tokens/orderTokens.js';

/** Each sibling is asked at most once, and not more than so many of them (F14). */
const MAX_PEERS_ASKED = 5;

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
  logins: CredentialDeps['logins'];
}

/** Handles `FenceVmOnHost`: finds peers, asks them, gathers what they say. Decides nothing. */
export interface PeerFencing {
  /** @throws DomainError STALE_EPOCH if a newer run exists on the suspect. */
  fence(message: FenceVmOnHostMsg): Promise<FenceVmOnHostReply>;
  /**
   * Nobody waits for this order any more: no further peer is asked, and a call that serves nobody
   * else is broken off. Harmless at any time: what a peer is doing, it may do twice.
   */
  cancel(order: OrderKey): void;
  /**
   * Asked before each peer of this order, from now on: why it may not be asked.
   * @returns what ends it.
   */
  guard(order: OrderKey, heldBack: () => string | undefined): () => void;
}

/** A look asks for no token, so the orders of a call are all of one kind. */
const NO_TOKENS: TakenTokens = { tokens: [], giveBack: async () => undefined };

type OrderKey = Pick<FenceVmOnHostMsg, 'hostUuid' | 'vmUuid' | 'epoch'>;

export function makePeerFencing(deps: PeerFencingDeps): PeerFencing {
  const batcherOf = (mode: Mode) =>
    makeBatcher<Order, Asked>(MAX_VMS_PER_FENCE, (suspectUuid, orders) =>
      fenceBatch(deps, { suspectUuid, mode }, orders),
    );
  const batchers = { fence: batcherOf('fence'), look: batcherOf('look') };
  const waiting = new Map<string, AbortController>();
  const guards = new Map<string, () => string | undefined>();
  return {
    async fence(message) {
      const vm = await findVm(deps.store.db, message.vmUuid);
      if (vm === undefined) throw new DomainError('NOT_FOUND', `no VM ${message.vmUuid}`);
      const key = keyOf(message);
      const stop = new AbortController();
      waiting.set(key, stop);
      const order = { message, disks: vm.disks, cancelled: stop.signal, heldBack: guards.get(key) };
      const batcher = batchers[message.lookOnly === true ? 'look' : 'fence'];
      const asked = await batcher.add(message.hostUuid, order).finally(() => {
        if (waiting.get(key) === stop) waiting.delete(key);
      });
      if (asked.stale)
        throw new DomainError('STALE_EPOCH', `a run newer than ${message.epoch} exists`);
      if (asked.evidence.length === 0)
        throw new DomainError('REFUSED', asked.failures.join('; ') || 'no sibling can be asked');
      return { evidence: asked.evidence, eligibleSiblings: asked.eligibleSiblings };
    },
    cancel: (order) => waiting.get(keyOf(order))?.abort(new Error('not needed any more')),
    guard: (order, heldBack) => {
      const key = keyOf(order);
      guards.set(key, heldBack);
      return () => {
        if (guards.get(key) === heldBack) guards.delete(key);
      };
    },
  };
}

function keyOf({ hostUuid, vmUuid, epoch }: OrderKey): string {
  return `${hostUuid} ${vmUuid} ${epoch}`;
}

async function fenceBatch(
  deps: PeerFencingDeps,
  { suspectUuid, mode }: { suspectUuid: string; mode: Mode },
  orders: readonly Order[],
): Promise<Asked[]> {
  const all = orders.map((order): Asked => ({
    order,
    evidence: [],
    failures: [],
    stale: false,
    finished: false,
    eligibleSiblings: 0,
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
  const { crossCluster } = deps.settings.current(suspect.clusterUuid).ha.preFence;
  const hinted = orders.flatMap(({ message }) => message.siblingHostUuids);
  const peers = pickPeers({ suspect, hinted, candidates, crossCluster }, deps.random);
  for (const one of all) one.eligibleSiblings = peers.length;
  const letGo = mode === 'fence' ? deps.tokens.hold(suspectUuid) : undefined;
  try {
    await askInTurn(deps, { suspect, peers, mode }, all);
  } finally {
    letGo?.();
  }
  return all;
}

/** Each sibling once, in their order, as long as a VM is left without an answer (F14). */
async function askInTurn(
  deps: PeerFencingDeps,
  { suspect, peers, mode }: { suspect: HostInfo; peers: readonly HostInfo[]; mode: Mode },
  all: readonly Asked[],
): Promise<void> {
  for (const peer of peers.slice(0, MAX_PEERS_ASKED)) {
    if (stillWanted(all).length === 0) return;
    const tokens = mode === 'look' ? NO_TOKENS : await deps.tokens.take(suspect).catch(refusalOf);
    if (typeof tokens === 'string') {
      // Another peer would have none either (F29a).
      for (const one of stillWanted(all)) one.failures.push(tokens);
      return;
    }
    // safety: asked anew after every wait: a host that came back meanwhile is not fenced any more.
    const open = stillWanted(all);
    if (open.length === 0) {
      await tokens.giveBack(tokens.tokens.map((_, n) => n));
      return;
    }
    await askPeer(deps, { suspect, peer, controls: peers, tokens, mode }, open);
  }
}

/** Whose order another peer may get; the others hear why not. */
function stillWanted(all: readonly Asked[]): Asked[] {
  const open = all.filter(({ finished, order }) => !finished && !order.cancelled.aborted);
  for (const one of open) {
    const held = one.order.heldBack?.();
    if (held === undefined) continue;
    one.failures.push(held);
    one.finished = true;
  }
  return open.filter(({ finished }) => !finished);
}

/** Why no order may be given now. @throws what is no refusal. */
function refusalOf(thrown: unknown): string {
  if (thrown instanceof DomainError && thrown.code === 'REFUSED') return thrown.message;
  throw thrown;
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
  log.info(`asking a peer to ${question.mode}`);
  try {
    const evidence = await callPeer(deps, { ...question, log }, asked);
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
    // Called off by us: nothing is wrong with that peer.
    if (asked.every(({ order }) => order.cancelled.aborted)) return;
    const failure = afterFailure(thrown);
    // Nobody was there to read them.
    if (isRefused(thrown)) await question.tokens.giveBack(question.tokens.tokens.map((_, n) => n));
    await reportFailure(deps, { ...question, log }, failure);
    for (const one of asked) {
      one.failures.push(`peer ${question.peer.name}: ${failure.why}`);
      one.stale = failure.step === 'stale';
      one.finished = failure.step !== 'next';
    }
  }
}

function isRefused(thrown: unknown): boolean {
  return thrown instanceof TransportError && thrown.failure === 'refused';
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
