import type { Clock, Logger, Random } from '@fenceline/common';
import type { Audit } from '../access/audit.js';
import type { Tokens } from '../access/tokens.js';
import type { ManagementNode } from '../cluster/node.js';
import type { SettingsService } from '../settings/settingsService.js';
import type { Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import type { ApiServices } from './services.js';
import type { StoreHealth } from './storeHealth.js';

/** Everything that the API's handlers work with. */
export interface ApiContext {
  store: Store;
  clock: Clock;
  random: Random;
  log: Logger;
  services: ApiServices;
  settings: SettingsService;
  events: Events;
  tokens: Tokens;
  audit: Audit;
  node: ManagementNode;
  health: StoreHealth;
}
