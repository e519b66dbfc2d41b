import { makeKeyedQueue, messageOf, type Clock, type Logger, type Timer } from '@fenceline/common';
import { agentRoutes, DomainError, type DiskRef, type ProtectedVm } from '@fenceline/protocol';
import { forEachBounded } from '../hosts/bounded.js';
import type { AgentAddress, AgentGateway } from '../hosts/agentGateway.js';
import type { ConnectExtension } from '../hosts/connect/extensions.js';
import type { HostDirectory, HostInfo } from '../hosts/contracts.js';
import { fromJson, type Store } from '../store/store.js';

export interface HostProtectionDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  gateway: AgentGateway;
  directory: HostDirectory;
}

/** Keeps the hosts informed of the VMs whose starts by hand their hooks refuse (F34). */
export interface HostProtection {
  /** A host is told before it counts as Connected. */
  readonly extension: ConnectExtension;
  start(): void;
  /** A VM may have become protected, or not be it any more; returns at once. */
  changed(): void;
  stop(): Promise<void>;
}

/** Nobody tells of everything that changes a list (an import, the end of a task): it is read again. */
const LOOK_EVERY_MS = 10_000;
const CALL_MS = 10_000;
const FAN_OUT = 8;

export function makeHostProtection(deps: HostProtectionDeps): HostProtection {
  return new Protection(deps);
}

class Protection implements HostProtection {
  /** What each host was told last. */
  readonly #told = new Map<string, string>();
  readonly #perHost = makeKeyedQueue(16);
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  #wanted = false;

  readonly extension: ConnectExtension = {
    name: 'protect',
    run: async ({ host, signal }) => {
      this.#told.delete(host.uuid);
      const address = {
        hostUuid: host.uuid,
        address: host.addresses[0] ?? '',
        port: host.agentPort,
      };
      await this.#tell({ address, clusterUuid: host.clusterUuid, name: host.name }, signal);
    },
  };

  constructor(private readonly deps: HostProtectionDeps) {}

  start(): void {
    this.#timer = this.deps.clock.after(LOOK_EVERY_MS, () => {
      this.changed();
      this.start();
    });
  }

  changed(): void {
    if (this.#stopping.signal.aborted) return;
    this.#wanted = true;
    this.#looking ??= this.#lookWhileWanted().finally(() => (this.#looking = undefined));
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('this server is stopping'));
    this.#timer?.cancel();
    await this.#looking;
  }

  async #lookWhileWanted(): Promise<void> {
    while (this.#wanted && !this.#stopping.signal.aborted) {
      this.#wanted = false;
      await this.#look().catch((error: unknown) =>
        this.deps.log.error('hosts could not be told the protected VMs', {
          error: messageOf(error),
        }),
      );
    }
  }

  /** Tells every Connected host that has not been told the same before. */
  async #look(): Promise<void> {
    const hosts = await this.deps.directory.all();
    const lists = new Map<string, string>();
    for (const clusterUuid of new Set(hosts.map((host) => host.clusterUuid)))
      lists.set(clusterUuid, JSON.stringify(await protectedVms(this.deps.store, clusterUuid)));
    const toTell = hosts.filter(
      (host) =>
        host.status === 'Connected' && this.#told.get(host.uuid) !== lists.get(host.clusterUuid),
    );
    await forEachBounded(toTell, FAN_OUT, async (host) => {
      await this.#tell(askOf(host), this.#stopping.signal).catch((error: unknown) =>
        this.deps.log.warn('a host could not be told the protected VMs', {
          host: host.name,
          error: messageOf(error),
        }),
      );
    });
  }

  /** The list is read when it is this host's turn: an older one never follows a newer one. */
  #tell(ask: Ask, signal: AbortSignal): Promise<void> {
    const { gateway, store, log } = this.deps;
    const { hostUuid } = ask.address;
    return this.#perHost.run(hostUuid, async () => {
      const vms = await protectedVms(store, ask.clusterUuid);
      const call = { command: { vms }, deadlineMs: CALL_MS, signal };
      try {
        await gateway.call(ask.address, agentRoutes.protect, call);
      } catch (error) {
        if (!isOldAgent(error)) throw error;
        // It has no hook to tell of, and its host is shown as one without.
        log.warn('the agent of a host is too old for the libvirt hook', { host: ask.name });
      }
      this.#told.set(hostUuid, JSON.stringify(vms));
    });
  }
}

interface Ask {
  address: AgentAddress;
  clusterUuid: string;
  name: string;
}

function askOf({ uuid, addresses, agentPort, clusterUuid, name }: HostInfo): Ask {
  return {
    address: { hostUuid: uuid, address: addresses[0] ?? '', port: agentPort },
    clusterUuid,
    name,
  };
}

function isOldAgent(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'NO_SUCH_ROUTE';
}

/**
 * Every VM of a cluster that somebody wants protected, and every one that is being brought back.
 * safety: F34: a VM whose protection is taken away in the middle of a failover may have a run that
 * is not proven over; it stays in the list until its task has ended.
 */
export async function protectedVms(store: Store, clusterUuid: string): Promise<ProtectedVm[]> {
  const rows = await store.db
    .selectFrom('vms')
    .select(['uuid', 'disksJson'])
    .where('clusterUuid', '=', clusterUuid)
    .where((eb) => {
      const open = eb
        .selectFrom('haTasks')
        .select('haTasks.uuid')
        .whereRef('haTasks.vmUuid', '=', 'vms.uuid')
        .where('haTasks.endedAt', 'is', null);
      return eb.or([eb('level', '<>', 'none'), eb.exists(open)]);
    })
    .orderBy('uuid')
    .execute();
  return rows.map(({ uuid, disksJson }) => ({
    vmUuid: uuid,
    disks: fromJson<DiskRef[]>(disksJson),
  }));
}
