import { messageOf, Releases, systemClock, systemRandom } from '@fenceline/common';
import { makeAudit } from './access/audit.js';
import { makeTokens } from './access/tokens.js';
import { startApi } from './api/adapters/apiServer.js';
import { watchStore } from './api/storeHealth.js';
import { ensureDefaultCluster } from './cluster/clusters.js';
import { registerNode } from './cluster/node.js';
import type { ComposeOptions, Server } from './composeTypes.js';
import { baseSettings } from './config.js';
import { composeCore, type CoreOptions } from './core.js';
import { fenceAgentPower } from './fencing/adapters/fenceAgentPower.js';
import { fileLoginVault } from './hosts/adapters/fileLoginVault.js';
import { httpAgentGateway } from './hosts/adapters/httpAgentGateway.js';
import { makeSettingsService } from './settings/settingsService.js';
import { openSqliteStore } from './store/adapters/sqlite.js';
import { makeEvents } from './telemetry/events.js';

/**
 * The server: builds everything top-down and starts it; on failure releases what was built. No
 * other file makes an adapter.
 */
export async function composeServer(
  options: ComposeOptions,
  core: CoreOptions = {},
): Promise<Server> {
  const releases = new Releases(options.log);
  try {
    return await build(options, core, releases);
  } catch (error) {
    options.log.debug('the start failed, releasing what was built', { error: messageOf(error) });
    await releases.run();
    throw error;
  }
}

async function build(
  { config, log, tls, newAdminToken }: ComposeOptions,
  coreOptions: CoreOptions,
  releases: Releases,
): Promise<Server> {
  const clock = systemClock;
  const random = systemRandom;
  const store = await openSqliteStore(config.stateDir);
  releases.add('store', () => store.close());
  const health = watchStore({ store, clock, log });
  releases.add('store health', () => health.stop());
  const node = await registerNode(store, clock, random);
  await ensureDefaultCluster({ store, clock, random });
  const settings = await makeSettingsService({ store, clock, log, base: baseSettings(config) });
  const tokens = makeTokens({ store, clock, random });
  const events = makeEvents(store, clock, log);

  const core = composeCore(
    {
      store,
      clock,
      random,
      log,
      settings,
      node,
      events,
      gateway: httpAgentGateway({ tls: tls.agents }),
      powerDevice: fenceAgentPower({ log }),
      loginVault: fileLoginVault(config.stateDir),
    },
    coreOptions,
  );
  releases.add('core', () => core.stop());

  const audit = makeAudit(store, clock);
  const { services } = core;
  const api = await startApi(
    { store, clock, random, log, services, settings, events, tokens, audit, node, health },
    { listen: config.server, tls: tls.api },
  );
  releases.add('api', () => api.stop());
  // After the socket is ours: a server that can't listen must not have begun to act.
  await core.start();
  // Last of all: a token that was made by a start that failed would never be shown to anybody.
  const adminToken = await tokens.ensureAdmin(newAdminToken);
  log.info('the server answers', { port: api.port, node: node.uuid, ownerEpoch: node.ownerEpoch });
  return {
    port: api.port,
    ...(adminToken === undefined ? {} : { adminToken }),
    stop: () => releases.run(),
  };
}
