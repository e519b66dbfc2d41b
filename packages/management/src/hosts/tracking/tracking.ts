import { messageOf, type Random, type Timer } from '@fenceline/common';
import type { HostListener } from '../contracts.js';
import type { Host } from '../host.js';
import { makeScan } from '../scan.js';
import type { AutoReconnect } from './autoReconnect.js';
import { TICK_MS, togetherMs } from './deadlines.js';
import { ownNetworkFirst, stalledMs } from './selfCheck.js';
import { Tracker } from './tracker.js';
import type { TrackerDeps } from './trackerDeps.js';

/** How often signs of life reach the store while all is well, ms. */
const STORE_SIGNS_MS = 10_000;
/** A stall of this server that people should hear of, ms. */
const REPORTED_STALL_MS = 1_000;

export interface TrackingDeps extends Omit<
  TrackerDeps,
  'listener' | 'scan' | 'autoReconnect' | 'watchfulMs' | 'ownNetworkFirst'
> {
  random: Random;
  autoReconnect: AutoReconnect;
}

/** Tracks every host; one clock tick looks at all of them. */
export class Tracking {
  readonly #trackers = new Map<string, Tracker>();
  readonly #blamed = new Set<string>();
  #listener: HostListener | undefined;
  #timer: Timer | undefined;
  #dueMs = 0;
  #storedMs = 0;
  /** How long this server stood still since it began, ms. */
  #blindMs = 0;
  #stopped = false;
  #storing: Promise<void> | undefined;

  constructor(private readonly deps: TrackingDeps) {}

  start(listener: HostListener): void {
    this.#listener = listener;
    this.#storedMs = this.deps.clock.monotonicMs();
    this.#setTimer();
  }

  /** Begins to track a host, or tells its tracker that a connect succeeded. */
  track(host: Host): void {
    if (this.#stopped || this.#listener === undefined) return;
    const tracker = this.#trackers.get(host.uuid);
    if (tracker !== undefined) tracker.connected(host);
    else this.#trackers.set(host.uuid, new Tracker(this.#trackerDeps(this.#listener), host));
  }

  async untrack(hostUuid: string): Promise<void> {
    const tracker = this.#trackers.get(hostUuid);
    this.#trackers.delete(hostUuid);
    await tracker?.stop();
  }

  isTracked(hostUuid: string): boolean {
    return this.#trackers.has(hostUuid);
  }

  /** The server hears this host now, by stream or ping. */
  hears(hostUuid: string): boolean {
    return this.#trackers.get(hostUuid)?.link.state === 'up';
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await Promise.all([...this.#trackers.keys()].map((hostUuid) => this.untrack(hostUuid)));
    await this.#storing;
  }

  #trackerDeps(listener: HostListener): TrackerDeps {
    const hears = (hostUuid: string): boolean => this.hears(hostUuid);
    return {
      ...this.deps,
      listener,
      scan: makeScan({ ...this.deps, hears }),
      watchfulMs: () => this.#watchfulMs(),
      ownNetworkFirst: (hostUuid) => this.#ownNetworkFirst(hostUuid),
    };
  }

  #watchfulMs(): number {
    return this.deps.clock.monotonicMs() - this.#blindMs;
  }

  #setTimer(): void {
    this.#dueMs = this.deps.clock.monotonicMs() + TICK_MS;
    this.#timer = this.deps.clock.after(TICK_MS, () => this.#tick());
  }

  #tick(): void {
    const nowMs = this.deps.clock.monotonicMs();
    // safety: while this loop stood still nothing could be heard; that is nobody's silence (D3).
    const blindMs = stalledMs(this.#dueMs, nowMs);
    this.#blindMs += blindMs;
    if (blindMs >= REPORTED_STALL_MS) this.#reportStall(blindMs);
    for (const tracker of this.#trackers.values()) tracker.tick();
    if (nowMs - this.#storedMs >= STORE_SIGNS_MS) this.#storeSigns(nowMs);
    this.#setTimer();
  }

  #ownNetworkFirst(hostUuid: string): boolean {
    const clusterUuid = this.#trackers.get(hostUuid)?.clusterUuid;
    if (clusterUuid === undefined) return false;
    const mates = [...this.#trackers.values()].filter((t) => t.clusterUuid === clusterUuid);
    const glances = mates.map((tracker) => tracker.glance());
    const { detect } = this.deps.settings.current().ha;
    const blamed = ownNetworkFirst(glances, hostUuid, togetherMs(detect));
    if (blamed && !this.#blamed.has(clusterUuid)) this.#reportNetwork(glances.length);
    if (blamed) this.#blamed.add(clusterUuid);
    else if (glances.some(({ now }) => now === 'answering')) this.#blamed.delete(clusterUuid);
    return blamed;
  }

  #reportNetwork(hosts: number): void {
    this.#record({
      kind: 'server.network',
      severity: 'critical',
      text:
        `all ${hosts} hosts of a cluster fell silent together: this server's own network is ` +
        'blamed first, and no host is judged dead by silence; check the network of this server',
      facts: { hosts },
    });
  }

  #reportStall(blindMs: number): void {
    this.#record({
      kind: 'server.stalled',
      severity: 'warning',
      text: `this server stood still for ${Math.round(blindMs)} ms; no host is blamed for it`,
      facts: { stalledMs: Math.round(blindMs) },
    });
  }

  #storeSigns(nowMs: number): void {
    this.#storedMs = nowMs;
    const signs = this.deps.presence.takeUnstored();
    if (signs.length === 0) return;
    this.#storing = this.deps.repository.noteSignsOfLife(signs).catch((thrown: unknown) => {
      this.deps.log.error('signs of life could not be stored', { error: messageOf(thrown) });
    });
  }

  #record(event: Parameters<TrackingDeps['events']['record']>[0]): void {
    this.deps.events.record(event).catch((thrown: unknown) => {
      this.deps.log.error('an event could not be stored', { error: messageOf(thrown) });
    });
  }
}
