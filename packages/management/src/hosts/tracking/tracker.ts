import { messageOf, type Timer } from '@fenceline/common';
import { agentRoutes, TransportError, type WatchItem } from '@fenceline/protocol';
import type { AgentAddress } from '../agentGateway.js';
import { agentOf, type Host } from '../host.js';
import { judgeUp } from './cameUp.js';
import { BROKEN_AFTER_REFUSALS, roundEveryMs } from './deadlines.js';
import { Lane } from './lane.js';
import { Link } from './link.js';
import { tryLiveness } from './livenessWrites.js';
import { Mailbox } from './mailbox.js';
import type { LinkGlance } from './selfCheck.js';
import { suspicion, type Suspect } from './suspicion.js';
import type { TrackerDeps } from './trackerDeps.js';
import { VmLists } from './vmLists.js';
import { startWatchLoop, type StreamEnd, type WatchLoop } from './watchLoop.js';

const PING_MS = 1_500;
/** Without a stream, the VMs are listed with each n-th ping. */
const PINGS_PER_LIST = 3;
/** While runs of an older boot are open, the reboot is told again this often, ms. */
const REBOOT_REMIND_MS = 5_000;

type Identity = Pick<WatchItem, 'agentInstance' | 'agentVersion' | 'bootId' | 'hostUuid'>;

/** Tracks one host: its stream, its liveness, its VMs, and what follows when it falls silent. */
export class Tracker {
  readonly hostUuid: string;
  readonly clusterUuid: string;
  readonly link: Link;
  readonly #lane: Lane;
  readonly #mailbox: Mailbox;
  readonly #lists: VmLists;
  readonly #loop: WatchLoop;
  readonly #stopping = new AbortController();
  #known: Pick<Host, 'agentInstance' | 'agentVersion'>;
  #bootId: string | null;
  #lastItemMs: number;
  #streamOpen = false;
  #listWanted = false;
  #saidLate = false;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #pinging = false;
  #pings = 0;
  #downMs = 0;
  #suspicion: { controller: AbortController; done: Promise<void> } | undefined;
  #reminder: Timer | undefined;

  constructor(
    private readonly deps: TrackerDeps,
    host: Host,
  ) {
    const { clock, gateway, log, presence, settings } = deps;
    const hostUuid = host.uuid;
    this.hostUuid = hostUuid;
    this.clusterUuid = host.clusterUuid;
    this.#known = host;
    this.#bootId = host.bootId;
    this.#lastItemMs = deps.watchfulMs();
    this.link = new Link(this.#lastItemMs, host.bootId !== null);
    this.#lane = new Lane({ clock, log }, hostUuid);
    const address = (): Promise<AgentAddress> => deps.repository.get(hostUuid).then(agentOf);
    const overflowed = (): void => this.#lists.read();
    this.#mailbox = new Mailbox({ clock, log, listener: deps.listener, overflowed });
    const mailbox = this.#mailbox;
    this.#lists = new VmLists({ hostUuid, clock, log, gateway, presence, mailbox, address });
    this.#loop = startWatchLoop({
      clock,
      log,
      gateway,
      address,
      heartbeatEveryMs: () => settings.current().ha.detect.heartbeatEveryMs,
      opened: () => this.#opened(),
      item: (item) => this.#item(item),
      ended: (end) => this.#ended(end),
    });
  }

  /** A connect succeeded: this agent is the one to expect from now on (C6). */
  connected(host: Host): void {
    this.#known = host;
  }

  /** Called often; looks at the time since the last sign. */
  tick(): void {
    const nowMs = this.deps.watchfulMs();
    const { detect } = this.deps.settings.current().ha;
    const quiet = this.link.quiet(nowMs, detect);
    const itemQuietMs = nowMs - this.#lastItemMs;
    if (itemQuietMs > 1.5 * detect.heartbeatEveryMs) this.#pingIfDue(nowMs);
    if (this.#streamOpen && itemQuietMs > this.link.limitMs(detect)) this.#loop.reopen();
    if (quiet === 'late' && !this.#saidLate && this.link.state === 'up') this.#late();
    const quietMs = Math.round(nowMs - this.link.lastHeardMs);
    if (quiet === 'silent' && this.link.state !== 'down')
      this.#goDown('silence', `nothing was heard of it for ${quietMs} ms`);
  }

  glance(): LinkGlance {
    const { detect } = this.deps.settings.current().ha;
    const { hostUuid } = this;
    return { hostUuid, ...this.link.glance(this.deps.watchfulMs(), detect) };
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('tracking stops'));
    this.#reminder?.cancel();
    this.#suspicion?.controller.abort(new Error('tracking stops'));
    await this.#loop.stop();
    await this.#lists.stop();
    await this.#lane.stop();
    await this.#suspicion?.done;
    await this.#mailbox.stop();
    this.deps.presence.forget(this.hostUuid);
  }

  #opened(): void {
    this.#streamOpen = true;
    this.#listWanted = true;
    this.deps.presence.setStream(this.hostUuid, true);
  }

  #item(item: WatchItem): void {
    if (!this.#heard(item, 'tracking')) return;
    this.#lastItemMs = this.deps.watchfulMs();
    this.deps.presence.setStream(this.hostUuid, true);
    if (item.kind === 'heartbeat') {
      this.link.beat(this.#lastItemMs);
      this.deps.presence.setHeartbeat(this.hostUuid, item);
    }
    if (item.kind === 'vm' && item.vm !== undefined) this.#lists.changed(item.bootId, item.vm);
    // Only now: the boot that the list is compared with has been heard.
    if (this.#listWanted) this.#lists.read();
    this.#listWanted = false;
  }

  #ended({ failure, message }: StreamEnd): void {
    const wasOpen = this.#streamOpen;
    this.#streamOpen = false;
    this.link.streamEnded();
    this.deps.presence.setStream(this.hostUuid, false);
    // What came by ping stays: no stream kept it current before, either.
    if (wasOpen) this.deps.presence.forgetList(this.hostUuid);
    const refused = failure === 'refused' || failure === 'reset' || failure === 'closed';
    if (wasOpen || !refused) return;
    this.link.refused();
    if (this.link.refusals >= BROKEN_AFTER_REFUSALS && this.link.state !== 'down')
      this.#goDown('broken', `its agent is gone: ${message}`);
  }

  /** Anything that came from the agent itself. False: another host answered. */
  #heard(from: Identity, by: 'ping' | 'tracking'): boolean {
    // safety: a connected agent knows whose it is. One that doesn't is a new one, perhaps of another
    // machine: it is connected anew, with the pinned host keys, before its word is this host's.
    if (from.hostUuid !== this.hostUuid) {
      const facts = { hostUuid: this.hostUuid, seen: from.hostUuid };
      this.deps.log.warn('another agent answers at the address of this host', facts);
      if (from.hostUuid === undefined) this.#checkAgent(from, by);
      return false;
    }
    const before = { state: this.link.state, bootId: this.#bootId };
    this.link.heard(this.deps.watchfulMs());
    this.link.state = 'up';
    this.#bootId = from.bootId;
    this.deps.presence.heard(this.hostUuid, from.bootId);
    const rebooted = before.bootId !== null && before.bootId !== from.bootId;
    if (before.state !== 'up' || rebooted) this.#cameUp(from.bootId, before.bootId);
    else if (this.#saidLate) this.#onTime();
    this.#checkAgent(from, by);
    return true;
  }

  /** C6: another instance or version has to be connected anew. */
  #checkAgent({ agentInstance, agentVersion }: Identity, by: 'ping' | 'tracking'): void {
    const { agentInstance: instance, agentVersion: version } = this.#known;
    if (agentInstance === instance && agentVersion === version) return;
    if (this.deps.busy(this.hostUuid)) return;
    const cause = `agent ${agentInstance} ${agentVersion}`;
    this.deps.autoReconnect.now(this.hostUuid, cause, by);
  }

  #late(): void {
    this.#saidLate = true;
    const reason = 'its heartbeat is late';
    this.#lane.run('late', async () => {
      await tryLiveness(this.deps.repository, this.hostUuid, { arrow: 'becameLate', reason });
    });
  }

  #onTime(): void {
    this.#saidLate = false;
    const arrow = { arrow: 'cameBack', reason: 'its heartbeats are on time again' } as const;
    const work = async (): Promise<void> => {
      await tryLiveness(this.deps.repository, this.hostUuid, arrow);
    };
    this.#lane.run('on time', work, () => this.link.state === 'up' && !this.#saidLate);
  }

  #cameUp(bootId: string, previousBootId: string | null): void {
    this.#saidLate = false;
    this.#reminder?.cancel();
    this.#suspicion?.controller.abort(new Error('it answers'));
    const work = async (): Promise<void> => {
      const { hostUuid } = this;
      await this.#tellUp({ hostUuid, bootId, previousBootId });
      const host = await this.deps.repository.get(hostUuid);
      if (host.status !== 'Disconnected' || this.deps.busy(hostUuid)) return;
      const cause = `link up at ${this.deps.clock.monotonicMs()}`;
      this.deps.autoReconnect.now(hostUuid, cause, 'tracking');
    };
    this.#lane.run('came up', work, () => this.link.state === 'up' && this.#bootId === bootId);
  }

  async #tellUp(how: Parameters<typeof judgeUp>[1]): Promise<void> {
    const { judgement, oldRuns } = await judgeUp(this.deps, how);
    if (judgement !== undefined) this.#mailbox.judged(judgement);
    if (oldRuns === 0 || this.#stopping.signal.aborted) return;
    this.#reminder = this.deps.clock.after(REBOOT_REMIND_MS, () => {
      if (this.link.state !== 'up' || this.#bootId !== how.bootId) return;
      this.#lane.run('reboot reminder', () => this.#tellUp({ ...how, reminder: true }));
    });
  }

  #goDown(by: Suspect['by'], reason: string): void {
    const { clock, presence, repository } = this.deps;
    const { hostUuid } = this;
    this.link.state = 'down';
    this.#downMs = clock.monotonicMs();
    this.#pings = 0;
    this.#saidLate = false;
    this.#reminder?.cancel();
    presence.setStream(hostUuid, false);
    presence.forgetList(hostUuid);
    const quietMs = this.deps.watchfulMs() - this.link.lastHeardMs;
    const lastHeardMs = this.#downMs - quietMs;
    const suspect = { hostUuid, by, reason, sinceMs: this.#downMs, lastHeardMs };
    let judging = false;
    const work = async (): Promise<void> => {
      try {
        await repository.noteSignsOfLife(presence.takeUnstored());
        await tryLiveness(repository, hostUuid, { arrow: 'suspected', reason });
        await this.#disconnected(reason);
      } finally {
        // safety: a database that fails must not keep a dead host from being judged.
        if (this.link.state === 'down' && !judging) this.#suspect(suspect);
        judging = true;
      }
    };
    const downMs = this.#downMs;
    this.#lane.run('down', work, () => this.link.state === 'down' && this.#downMs === downMs);
  }

  async #disconnected(reason: string): Promise<void> {
    const { repository, autoReconnect, busy } = this.deps;
    const host = await repository.get(this.hostUuid);
    // Its own end tells the status; without this it could wait half an hour for a dead host (C7).
    if (busy(this.hostUuid)) {
      this.deps.abortConnect(this.hostUuid, `${host.name}: ${reason}`);
      return;
    }
    if (host.status === 'Connected') await repository.setStatus(host.uuid, 'Disconnected', reason);
    autoReconnect.failed(this.hostUuid);
  }

  #suspect(suspect: Suspect): void {
    if (this.#stopping.signal.aborted) return;
    this.#suspicion?.controller.abort(new Error('a newer suspicion'));
    const controller = new AbortController();
    const emit: Parameters<typeof suspicion>[0]['emit'] = (judgement) =>
      this.#mailbox.judged(judgement);
    const probe = (): Promise<void> => this.#ping();
    const done = suspicion({ ...this.deps, emit, probe }, suspect, controller.signal);
    this.#suspicion = { controller, done };
  }

  /** D1: plain requests are the fallback where the stream brings nothing. */
  #pingIfDue(nowMs: number): void {
    const { heartbeatEveryMs } = this.deps.settings.current().ha.detect;
    const downForMs = this.deps.clock.monotonicMs() - this.#downMs;
    const everyMs = this.link.state === 'down' ? roundEveryMs(downForMs) : heartbeatEveryMs;
    if (this.#pinging || nowMs - this.#lastPingMs < everyMs) return;
    this.#lastPingMs = nowMs;
    this.#pinging = true;
    void this.#ping().finally(() => (this.#pinging = false));
  }

  async #ping(): Promise<void> {
    const { gateway, repository, log } = this.deps;
    const call = { command: {}, deadlineMs: PING_MS, signal: this.#stopping.signal };
    try {
      const agent = agentOf(await repository.get(this.hostUuid));
      const pong = await gateway.call(agent, agentRoutes.ping, call);
      if (!pong.success || this.#stopping.signal.aborted || !this.#heard(pong, 'ping')) return;
      if (this.#pings % PINGS_PER_LIST === 0 && !this.#streamOpen) this.#lists.read();
      this.#pings += 1;
    } catch (thrown) {
      if (thrown instanceof TransportError && thrown.failure === 'refused') this.link.refused();
      log.debug('no answer to a ping', { hostUuid: this.hostUuid, error: messageOf(thrown) });
    }
  }
}
