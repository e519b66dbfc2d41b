import type { Clock, Logger, Random } from '@fenceline/common';
import type { DomainError } from '@fenceline/protocol';
import type { PowerDevice } from '../fencing/power/powerDevice.js';
import type { MessageBus } from '../messages/bus.js';
import type { SettingsSource } from '../settings/settings.js';
import type { Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import type { AgentGateway } from './agentGateway.js';
import { makeConnector } from './connect/connector.js';
import { noExtensions, type ConnectExtensions } from './connect/extensions.js';
import { connectMessage } from './connect/messages.js';
import { makeSiblingRefresh, type SiblingRefresh } from './connect/siblingRefresh.js';
import type { HostListener, HostPresence } from './contracts.js';
import { wasConnected, type Host } from './host.js';
import { makeInventory, type HostInventory } from './inventory.js';
import type { HostLogins, LoginVault } from './hostLogins.js';
import { makeRotateKey } from './keyRotation.js';
import { makeInventoryRepository } from './inventoryRepository.js';
import { makeVerifyPower } from './powerVerify.js';
import { makeHostRepository, type HostRepository, type Owner } from './repository.js';
import { AutoReconnect } from './tracking/autoReconnect.js';
import { Presence } from './tracking/presence.js';
import { Tracking } from './tracking/tracking.js';

export interface HostsDeps {
  clock: Clock;
  random: Random;
  log: Logger;
  events: Events;
  store: Store;
  bus: MessageBus;
  gateway: AgentGateway;
  settings: SettingsSource;
  power: PowerDevice;
  logins: HostLogins;
  loginVault: LoginVault;
  /** This management node. */
  owner: Owner;
  /** What other domains add to every connect, in order. */
  extensions?: Partial<ConnectExtensions>;
}

/** The host domain, built and not started. */
export interface Hosts {
  inventory: HostInventory;
  presence: HostPresence;
  repository: HostRepository;
  /** D7: what only the HA domain knows of a host's life. @throws DomainError CONFLICT if illegal. */
  liveness: HostLiveness;
  /** Takes the hosts over, connects each of them (C4: without the marker) and tracks them. */
  start(listener: HostListener): Promise<void>;
  /** Ends connects, streams and timers; the store may be closed afterwards. */
  stop(): Promise<void>;
}

export interface HostLiveness {
  fenceBegan(hostUuid: string, reason: string): Promise<void>;
  fenceDone(hostUuid: string, reason: string): Promise<void>;
  fenceCalledOff(hostUuid: string, reason: string): Promise<void>;
}

export function makeHosts(deps: HostsDeps): Hosts {
  const { store, bus, settings } = deps;
  const repository = makeHostRepository(deps);
  const inventory = makeInventoryRepository(store, deps.random, deps.loginVault);
  const presence = new Presence(deps.clock);
  const autoReconnect = new AutoReconnect(deps);
  const shared = { ...deps, repository, inventory, presence, autoReconnect };
  const extensions = { ...noExtensions, ...deps.extensions };
  const connector = makeConnector(
    { ...shared, extensions },
    {
      connected: async (host) => tracking.track(host),
      toldSiblings: (host, digest) => siblings.told(host, digest),
      ended: (host, error) => ended({ siblings, autoReconnect }, host, error),
    },
  );
  const busy = (hostUuid: string): boolean => connector.busy(hostUuid);
  const abortConnect = (hostUuid: string, reason: string): void =>
    connector.abort(hostUuid, reason);
  const tracking = new Tracking({ ...shared, busy, abortConnect });
  const siblings = makeSiblingRefresh({
    ...shared,
    busy,
    exclusive: (hostUuid, work) => connector.exclusive(hostUuid, work),
  });
  const removed = async (host: Host): Promise<void> => {
    autoReconnect.cancel(host.uuid);
    await tracking.untrack(host.uuid);
    siblings.refresh(host.clusterUuid);
  };
  return {
    inventory: makeInventory({
      ...shared,
      verifyPower: makeVerifyPower(shared),
      rotateKey: makeRotateKey({ ...shared, siblings }),
      removed,
    }),
    presence,
    repository,
    liveness: makeLiveness(repository),
    async start(listener) {
      await repository.claimAll();
      tracking.start(listener);
      for (const host of await repository.list()) {
        // What the row says of a connection was true of the server before this start.
        await repository.setStatus(host.uuid, 'Disconnected', 'this server started');
        if (wasConnected(host)) tracking.track(host);
        const first = { hostUuid: host.uuid, newAdd: false };
        void bus.send('ConnectHost', connectMessage(settings.current(), first));
      }
    },
    async stop() {
      autoReconnect.stop();
      await connector.stop();
      await siblings.stop();
      await tracking.stop();
    },
  };
}

/** After each connect, well or not. */
function ended(
  { siblings, autoReconnect }: { siblings: SiblingRefresh; autoReconnect: AutoReconnect },
  host: Host,
  error: DomainError | undefined,
): void {
  if (error === undefined) siblings.refresh(host.clusterUuid);
  if (error === undefined || error.code === 'NOT_FOUND') autoReconnect.cancel(host.uuid);
  else autoReconnect.failed(host.uuid);
}

function makeLiveness(repository: HostRepository): HostLiveness {
  const apply =
    (arrow: 'fenceBegan' | 'fenceDone' | 'fenceCalledOff') =>
    async (hostUuid: string, reason: string): Promise<void> => {
      await repository.applyLiveness(hostUuid, arrow, reason);
    };
  return {
    fenceBegan: apply('fenceBegan'),
    fenceDone: apply('fenceDone'),
    fenceCalledOff: apply('fenceCalledOff'),
  };
}
