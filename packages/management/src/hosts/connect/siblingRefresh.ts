import { messageOf, type Timer } from '@fenceline/common';
import { DomainError, agentRoutes, FENCELINE_VERSION } from '@fenceline/protocol';
import { forEachBounded } from '../bounded.js';
import type { Host } from '../host.js';
import { callAgent, type ConnectDeps } from './context.js';
import { asksForTokens, siblingKeysDigest, siblingKeysFor } from './siblingKeys.js';

/** Hosts of a cluster that are told at one time. */
const FAN_OUT = 8;
const CALL_MS = 10_000;
/** Before those that could not be told are tried again. */
const RETRY_MS = 10_000;

export interface SiblingRefreshDeps extends Omit<ConnectDeps, 'extensions' | 'bus'> {
  /** A connect of that host waits or runs; it brings the keys itself. */
  busy: (hostUuid: string) => boolean;
  exclusive: <T>(hostUuid: string, work: () => Promise<T>) => Promise<T>;
}

/**
 * Keeps every Connected host of a cluster informed of its siblings' fence keys and addresses
 * (F29): compares what each has to know with what it was told last, and tells those that differ.
 */
export interface SiblingRefresh {
  /** A connect told this host what it had to know then. */
  told(host: Pick<Host, 'uuid'>, digest: string): void;
  /** Something of this cluster's hosts may have changed; returns at once. */
  refresh(clusterUuid: string): void;
  stop(): Promise<void>;
}

export function makeSiblingRefresh(deps: SiblingRefreshDeps): SiblingRefresh {
  return new Refresher(deps);
}

class Refresher implements SiblingRefresh {
  readonly #told = new Map<string, string>();
  readonly #running = new Map<string, { again: boolean; done: Promise<void> }>();
  readonly #retries = new Map<string, Timer>();
  readonly #stopping = new AbortController();

  constructor(private readonly deps: SiblingRefreshDeps) {}

  told({ uuid }: Pick<Host, 'uuid'>, digest: string): void {
    this.#told.set(uuid, digest);
  }

  refresh(clusterUuid: string): void {
    if (this.#stopping.signal.aborted) return;
    const now = this.#running.get(clusterUuid);
    if (now !== undefined) {
      now.again = true;
      return;
    }
    const entry = { again: false, done: Promise.resolve() };
    this.#running.set(clusterUuid, entry);
    entry.done = this.#once(clusterUuid)
      .catch((thrown: unknown) =>
        this.deps.log.error('siblings could not be refreshed', { error: messageOf(thrown) }),
      )
      .finally(() => {
        this.#running.delete(clusterUuid);
        if (entry.again) this.refresh(clusterUuid);
      });
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('this server is stopping'));
    for (const timer of this.#retries.values()) timer.cancel();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  async #once(clusterUuid: string): Promise<void> {
    const { repository, exclusive, busy } = this.deps;
    const hosts = await repository.list({ clusterUuid });
    // A host that is being connected is told by its connect.
    const toTell = hosts.filter((host) => host.status === 'Connected' && !busy(host.uuid));
    let failed = false;
    await forEachBounded(toTell, FAN_OUT, async (host) => {
      const ok = await exclusive(host.uuid, () => this.#tell(host)).catch(() => false);
      failed ||= !ok;
    });
    if (failed) this.#retryLater(clusterUuid);
  }

  async #tell(host: Host): Promise<boolean> {
    const { repository, gateway, owner, log, settings } = this.deps;
    const hosts = await repository.list({ clusterUuid: host.clusterUuid });
    const siblings = siblingKeysFor(host, hosts);
    const orderTokens = asksForTokens(settings);
    const digest = siblingKeysDigest({ siblings, orderTokens });
    if (this.#told.get(host.uuid) === digest) return true;
    const server = { serverUuid: owner.uuid, serverVersion: FENCELINE_VERSION };
    const command = { hostUuid: host.uuid, ...server, siblings, orderTokens };
    const call = { command, deadlineMs: CALL_MS, signal: this.#stopping.signal };
    try {
      // safety: /host/connect gives an agent without identity this host's; only its own may be told.
      const ask = { command: {}, deadlineMs: CALL_MS, signal: this.#stopping.signal };
      const { hostUuid } = await callAgent({ gateway, host }, agentRoutes.ping, ask);
      if (hostUuid !== host.uuid)
        throw new DomainError('CONFLICT', `another agent answers at the address of ${host.name}`);
      await callAgent({ gateway, host }, agentRoutes.connect, call);
      this.#told.set(host.uuid, digest);
      return true;
    } catch (thrown) {
      const facts = { hostUuid: host.uuid, error: messageOf(thrown) };
      log.warn('a host could not be told its siblings', facts);
      return false;
    }
  }

  #retryLater(clusterUuid: string): void {
    if (this.#stopping.signal.aborted || this.#retries.has(clusterUuid)) return;
    const retry = (): void => {
      this.#retries.delete(clusterUuid);
      this.refresh(clusterUuid);
    };
    this.#retries.set(clusterUuid, this.deps.clock.after(RETRY_MS, retry));
  }
}
