import {
  makeKeyedQueue,
  messageOf,
  type Clock,
  type Logger,
  type Random,
  type Secret,
  type Timer,
} from '@fenceline/common';
import { agentRoutes, DomainError, MAX_TOKENS_PER_FENCE } from '@fenceline/protocol';
import type { AgentGateway } from '../../hosts/agentGateway.js';
import { callAgent } from '../../hosts/connect/context.js';
import type { ConnectExtension } from '../../hosts/connect/extensions.js';
import type { HostPresence } from '../../hosts/contracts.js';
import type { Host } from '../../hosts/host.js';
import type { LoginVault } from '../../hosts/hostLogins.js';
import type { HostRepository } from '../../hosts/repository.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { Store } from '../../store/store.js';
import type { Events } from '../../telemetry/events.js';
import { makeTokenRepository, type TokenRepository } from './tokenRepository.js';

/** 128 bits. */
const TOKEN_BYTES = 16;
const CALL_MS = 10_000;
/** How often it is looked whether hosts hold what they should, ms. */
const LOOK_EVERY_MS = 10_000;
const MAX_WAITING_PER_HOST = 64;
const ALL = Number.MAX_SAFE_INTEGER;

/** What one call of a peer carries: used up by having been taken. */
export interface TakenTokens {
  /** In the order of use; empty: that host asks for none. */
  readonly tokens: readonly Secret[];
  /**
   * Those at these places were in no order, so they can be taken again while the host is ill; a peer
   * has seen them, so they don't outlast the next deposit.
   */
  giveBack(places: readonly number[]): Promise<void>;
}

/** The one-time order tokens of all hosts (F29a). */
export interface OrderTokens {
  /**
   * Tokens for the orders of one call, marked as taken when this returns: durably, before they can
   * leave the server.
   * @throws DomainError REFUSED if none is left.
   */
  take(host: { uuid: string; name: string }): Promise<TakenTokens>;
  /** While orders for a host are out, its tokens are left alone; call what it returns at their end. */
  hold(hostUuid: string): () => void;
  /** A step of every connect: a fresh set, and nothing that was deposited before. */
  readonly connectStep: ConnectExtension;
  start(): void;
  stop(): Promise<void>;
}

export interface OrderTokensDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Logger;
  events: Events;
  gateway: AgentGateway;
  settings: SettingsSource;
  repository: Pick<HostRepository, 'list'>;
  presence: HostPresence;
  /** Seals them at rest. */
  loginVault: Pick<LoginVault, 'seal' | 'open'>;
}

export function makeOrderTokens(deps: OrderTokensDeps): OrderTokens {
  return new Keeper(deps);
}

class Keeper implements OrderTokens {
  readonly #tokens: TokenRepository;
  readonly #perHost = makeKeyedQueue(MAX_WAITING_PER_HOST);
  /** Hosts whose set was deposited in this life of the server, and how many orders are out. */
  readonly #fresh = new Set<string>();
  readonly #out = new Map<string, number>();
  readonly #alarmed = new Set<string>();
  /** Differed at the last look already: not just a heartbeat that was on its way. */
  readonly #differed = new Set<string>();
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;

  constructor(private readonly deps: OrderTokensDeps) {
    this.#tokens = makeTokenRepository(deps);
  }

  readonly connectStep: ConnectExtension = {
    name: 'order-tokens',
    run: ({ host, signal }) =>
      this.#perHost.run(host.uuid, () => this.#deposit(host, { fresh: true, signal })),
  };

  async take(host: { uuid: string; name: string }): Promise<TakenTokens> {
    // safety: F29a: used up durably before it leaves: a server that is killed hands none out twice
    const taken = await this.#tokens.take(host.uuid, MAX_TOKENS_PER_FENCE);
    if (taken.length > 0) {
      this.#alarmed.delete(host.uuid);
      return {
        tokens: taken.map(({ token }) => token),
        giveBack: async (places) =>
          this.#tokens.putBack(
            host.uuid,
            places.flatMap((place) => taken[place] ?? []),
          ),
      };
    }
    if (this.#wanted() === 0) return { tokens: [], giveBack: async () => undefined };
    if (!this.#alarmed.has(host.uuid)) await this.#alarm(host);
    this.#alarmed.add(host.uuid);
    throw new DomainError('REFUSED', `no order token of ${host.name} is left; they are ${RENEWED}`);
  }

  hold(hostUuid: string): () => void {
    this.#out.set(hostUuid, (this.#out.get(hostUuid) ?? 0) + 1);
    return () => {
      const left = (this.#out.get(hostUuid) ?? 1) - 1;
      if (left > 0) this.#out.set(hostUuid, left);
      else this.#out.delete(hostUuid);
    };
  }

  start(): void {
    this.#timer = this.deps.clock.after(LOOK_EVERY_MS, () => {
      this.#looking = this.#look()
        .catch((thrown: unknown) =>
          this.deps.log.error('order tokens could not be looked after', {
            error: messageOf(thrown),
          }),
        )
        .finally(() => {
          if (!this.#stopping.signal.aborted) this.start();
        });
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('this server is stopping'));
    this.#timer?.cancel();
    await this.#looking;
    await this.#perHost.idle();
  }

  #wanted(): number {
    return this.deps.settings.current().ha.preFence.orderTokens;
  }

  async #alarm({ uuid, name }: { uuid: string; name: string }): Promise<void> {
    const text = `no order token of host ${name} is left: no sibling can fence it until they are ${RENEWED}`;
    const kind = 'fence.tokens.none';
    await this.deps.events.record({ kind, severity: 'critical', hostUuid: uuid, text });
  }

  /** Renews what was used up, and what a host has lost. */
  async #look(): Promise<void> {
    const counts = await this.#tokens.counts();
    const hosts = await this.deps.repository.list();
    for (const gone of counts.keys())
      if (!hosts.some(({ uuid }) => uuid === gone)) await this.#tokens.dropBefore(gone, ALL);
    if (this.#wanted() === 0) return;
    for (const host of hosts) {
      const { uuid, status } = host;
      // safety: an order that is out must find its token: nothing is replaced under it
      if (status !== 'Connected' || !this.#fresh.has(uuid) || this.#out.has(uuid)) continue;
      const { usable, fresh } = counts.get(uuid) ?? { usable: 0, fresh: 0 };
      const held = this.deps.presence.lastHeartbeat(uuid)?.orderTokens;
      const differs = held !== undefined && held !== usable;
      const again = this.#differed.has(uuid);
      if (differs) this.#differed.add(uuid);
      else this.#differed.delete(uuid);
      if (fresh >= this.#wanted() && !(differs && again)) continue;
      const limit = { fresh: false, signal: this.#stopping.signal };
      await this.#perHost
        .run(uuid, () => this.#deposit(host, limit))
        .catch((thrown: unknown) => {
          const facts = { hostUuid: uuid, error: messageOf(thrown) };
          this.deps.log.info('order tokens could not be deposited', facts);
        });
    }
  }

  /**
   * What no peer has ever seen, filled up, and exactly that on the host.
   * @param fresh all of it new: a database that was restored may hold tokens that were used since.
   */
  async #deposit(
    host: Host,
    { fresh, signal }: { fresh: boolean; signal: AbortSignal },
  ): Promise<void> {
    const { random } = this.deps;
    const wanted = this.#wanted();
    // safety: another agent at that address must not learn this host's tokens
    await this.#mustBe(host, signal);
    const count = fresh ? 0 : ((await this.#tokens.counts()).get(host.uuid)?.fresh ?? 0);
    const made = Array.from({ length: Math.max(0, wanted - count) }, () => random.hex(TOKEN_BYTES));
    // safety: in the store before the host: it may take them and its answer be lost
    const oldest = await this.#tokens.add(host.uuid, made);
    const kept = await this.#tokens.listFresh(host.uuid, fresh ? oldest : 0);
    const command = { tokens: kept.map((token) => token.reveal()), replace: true };
    const call = { command, deadlineMs: CALL_MS, signal };
    await callAgent({ ...this.deps, host }, agentRoutes.orderTokens, call);
    // Only now: as long as the host may hold none of the new ones, the old ones are what it holds.
    if (fresh) await this.#tokens.dropBefore(host.uuid, oldest);
    else await this.#tokens.dropSeen(host.uuid);
    this.#fresh.add(host.uuid);
    this.#differed.delete(host.uuid);
    this.#alarmed.delete(host.uuid);
  }

  async #mustBe(host: Host, signal: AbortSignal): Promise<void> {
    const ask = { command: {}, deadlineMs: CALL_MS, signal };
    const { hostUuid } = await callAgent({ ...this.deps, host }, agentRoutes.ping, ask);
    if (hostUuid !== host.uuid)
      throw new DomainError('CONFLICT', `another agent answers at the address of ${host.name}`);
  }
}

const RENEWED = 'renewed when its agent is connected again';
