import type { Clock, Logger } from '@fenceline/common';
import type { SettingsSource } from '../../settings/settings.js';
import type { Events } from '../../telemetry/events.js';
import type { AgentGateway } from '../agentGateway.js';
import type { HostListener } from '../contracts.js';
import type { InventoryRepository } from '../inventoryRepository.js';
import type { HostRepository } from '../repository.js';
import type { Scan } from '../scan.js';
import type { AutoReconnect } from './autoReconnect.js';
import type { Presence } from './presence.js';

/** What tracking one host needs. */
export interface TrackerDeps {
  clock: Clock;
  log: Logger;
  events: Events;
  gateway: AgentGateway;
  settings: SettingsSource;
  repository: HostRepository;
  inventory: InventoryRepository;
  listener: HostListener;
  presence: Presence;
  scan: Scan;
  autoReconnect: AutoReconnect;
  /** A connect of that host waits or runs. */
  busy: (hostUuid: string) => boolean;
  /** Ends a connect that is under way. */
  abortConnect: (hostUuid: string, reason: string) => void;
  /** Monotonic time without the moments in which this server stood still (D3). */
  watchfulMs: () => number;
  /** D3: all hosts of its cluster fell silent together. */
  ownNetworkFirst: (hostUuid: string) => boolean;
}
