import {
  messageOf,
  type Clock,
  type Logger,
  type MonotonicMs,
  type Timer,
} from '@fenceline/common';
import { agentRoutes, type FenceNeighbour } from '@fenceline/protocol';
import type { AgentGateway } from '../../hosts/agentGateway.js';
import { forEachBounded } from '../../hosts/bounded.js';
import type { HostPresence } from '../../hosts/contracts.js';
import { agentOf, type Host } from '../../hosts/host.js';
import type { HostRepository } from '../../hosts/repository.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { Events } from '../../telemetry/events.js';
import { linesTo, LineWatch, type LineSeen } from './lineWatch.js';
import { spreadLines } from './spreadRules.js';

/** How often the lines are compared with what they should be, ms. */
const LOOK_EVERY_MS = 5_000;
/** A host that is away no longer than this keeps its lines: an agent that restarts moves none. */
const AWAY_MS = 60_000;
const CALL_MS = 5_000;
/** Hosts that are told at one time. */
const FAN_OUT = 8;

export interface FenceLinesDeps {
  clock: Clock;
  log: Logger;
  events: Events;
  gateway: AgentGateway;
  settings: SettingsSource;
  repository: Pick<HostRepository, 'list'>;
  presence: HostPresence;
}

/** Lays out the fence lines of all clusters, tells the hosts, and watches over them (F27). */
export interface FenceLinesKeeper {
  start(): void;
  /** Hosts came, went or changed; returns at once. */
  changed(): void;
  /** The lines to a host as their keepers tell them, best first. */
  linesTo(hostUuid: string): LineSeen[];
  /** Since when it has had no standing line, if that has lasted; ISO 8601. */
  missingSince(hostUuid: string): string | undefined;
  stop(): Promise<void>;
}

export function makeFenceLinesKeeper(deps: FenceLinesDeps): FenceLinesKeeper {
  return new Keeper(deps);
}

class Keeper implements FenceLinesKeeper {
  /** What each host was told last, and which life of its agent heard it. */
  readonly #told = new Map<string, string>();
  readonly #seenMs = new Map<string, MonotonicMs>();
  readonly #watch: LineWatch;
  readonly #stopping = new AbortController();
  #hostUuids: string[] = [];
  #begunMs = 0;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  #again = false;

  constructor(private readonly deps: FenceLinesDeps) {
    this.#watch = new LineWatch(deps);
  }

  start(): void {
    this.#begunMs = this.deps.clock.monotonicMs();
    this.#later();
  }

  changed(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#looking === undefined) this.#now();
    else this.#again = true;
  }

  linesTo(hostUuid: string): LineSeen[] {
    return linesTo(hostUuid, this.#hostUuids, this.deps.presence);
  }

  missingSince(hostUuid: string): string | undefined {
    return this.#watch.missingSince(hostUuid);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('this server is stopping'));
    this.#timer?.cancel();
    await this.#looking;
  }

  #later(): void {
    if (!this.#stopping.signal.aborted)
      this.#timer = this.deps.clock.after(LOOK_EVERY_MS, () => this.#now());
  }

  #now(): void {
    this.#timer?.cancel();
    this.#again = false;
    this.#looking = this.#look()
      .catch((thrown: unknown) =>
        this.deps.log.error('fence lines could not be looked after', { error: messageOf(thrown) }),
      )
      .finally(() => {
        this.#looking = undefined;
        if (this.#again && !this.#stopping.signal.aborted) this.#now();
        else this.#later();
      });
  }

  async #look(): Promise<void> {
    const { repository, settings } = this.deps;
    const hosts = await repository.list();
    const { perHost } = settings.current().ha.fenceLine;
    const byUuid = new Map(hosts.map((host) => [host.uuid, host]));
    this.#hostUuids = [...byUuid.keys()];
    this.#noteSeen(hosts);
    const reachable = hosts.filter(canBeReached);
    const ring = reachable.map((host) => ({ ...host, canKeep: this.#canKeep(host) }));
    const kept = spreadLines(ring, perHost);
    const connected = hosts.filter(({ status }) => status === 'Connected');
    await forEachBounded(connected, FAN_OUT, async (host) => {
      const to = (kept.get(host.uuid) ?? []).flatMap((uuid) => byUuid.get(uuid) ?? []);
      await this.#tell(host, to.map(neighbourOf));
    });
    const wanted = new Set([...kept.values()].flat());
    for (const host of hosts) {
      const asked = wanted.has(host.uuid) && host.status === 'Connected';
      const stands = this.linesTo(host.uuid).some((line) => line.state === 'standing');
      await this.#watch.look(host, asked ? stands : undefined);
    }
    this.#watch.forgetOthers(new Set(byUuid.keys()));
  }

  #noteSeen(hosts: readonly Host[]): void {
    const nowMs = this.deps.clock.monotonicMs();
    for (const { uuid, status } of hosts) if (status === 'Connected') this.#seenMs.set(uuid, nowMs);
    for (const known of [this.#seenMs, this.#told])
      for (const uuid of known.keys()) if (!this.#hostUuids.includes(uuid)) known.delete(uuid);
  }

  /** F12: whom a fence could be asked of; a host that is away for a moment only moves nothing. */
  #canKeep({ uuid, state }: Host): boolean {
    const seenMs = this.#seenMs.get(uuid) ?? this.#begunMs;
    return state === 'Enabled' && this.deps.clock.monotonicMs() - seenMs <= AWAY_MS;
  }

  async #tell(host: Host, neighbours: FenceNeighbour[]): Promise<void> {
    const { gateway, log } = this.deps;
    const digest = JSON.stringify([host.agentInstance, neighbours]);
    if (this.#told.get(host.uuid) === digest) return;
    try {
      const call = { deadlineMs: CALL_MS, signal: this.#stopping.signal };
      const command = { neighbours };
      await gateway.call(agentOf(host), agentRoutes.fenceLines, { command, ...call });
      this.#told.set(host.uuid, digest);
    } catch (thrown) {
      // Tried again with the next look.
      const facts = { hostUuid: host.uuid, error: messageOf(thrown) };
      log.info('a host could not be told its fence lines', facts);
    }
  }
}

/** Its fence program can be reached: it was connected once, and its host keys are pinned. */
function canBeReached({ hypervisor, fencePublicKey, sshHostKeys }: Host): boolean {
  return hypervisor === 'KVM' && fencePublicKey !== null && sshHostKeys.length > 0;
}

function neighbourOf(host: Host): FenceNeighbour {
  const { uuid, addresses, sshPort, sshUsername, sshHostKeys, doorPort } = host;
  return {
    hostUuid: uuid,
    addresses: addresses.slice(0, 16),
    sshPort,
    username: sshUsername,
    hostKeys: sshHostKeys.slice(0, 16),
    ...(doorPort === null ? {} : { doorPort }),
  };
}
