import { axiosTransport, systemClock, systemRandom, type StreamTransport } from '@fenceline/common';
import { makeTestCa, recordingLogger } from '@fenceline/common/testing';
import type { ApiRole, Transport } from '@fenceline/protocol';
import { makeAudit } from '../../src/access/audit.js';
import { makeTokens } from '../../src/access/tokens.js';
import { startApi } from '../../src/api/adapters/apiServer.js';
import { watchStore } from '../../src/api/storeHealth.js';
import { registerNode } from '../../src/cluster/node.js';
import { Settings } from '../../src/settings/settings.js';
import { makeSettingsService } from '../../src/settings/settingsService.js';
import { openMemoryStore } from '../../src/store/adapters/sqlite.js';
import { makeEvents } from '../../src/telemetry/events.js';
import { fakeServices } from './fakeServices.js';
import { seed } from './seed.js';

/** The real API over real HTTPS on loopback, with fakes behind its ports only. */
export async function startTestApi() {
  const { log, lines } = recordingLogger();
  const store = await openMemoryStore();
  await seed(store);
  const [clock, random] = [systemClock, systemRandom];
  const base = new Settings();
  base.ha.agentDown.withoutHeartbeat = 'fence';
  const { services, asked } = fakeServices(store);
  const tokens = makeTokens({ store, clock, random });
  const events = makeEvents(store, clock, log);
  const health = watchStore({ store, clock, log });
  const context = {
    store,
    clock,
    random,
    log,
    services,
    events,
    tokens,
    health,
    settings: await makeSettingsService({ store, clock, log, base }),
    audit: makeAudit(store, clock),
    node: await registerNode(store, clock, random),
  };
  const ca = makeTestCa();
  const tls = ca.issue({ name: 'server' });
  const server = await startApi(context, { listen: { address: '127.0.0.1', port: 0 }, tls });
  const baseUrl = `https://127.0.0.1:${server.port}`;
  const caller = (token?: string): Transport & StreamTransport =>
    axiosTransport({
      baseUrl,
      tls: { ca: ca.ca },
      ...(token === undefined ? {} : { token: { reveal: () => token } }),
    });
  const secrets: Record<ApiRole, string> = {
    viewer: (await tokens.create({ name: 'vera', role: 'viewer' })).token.reveal(),
    operator: (await tokens.create({ name: 'otto', role: 'operator' })).token.reveal(),
    admin: (await tokens.create({ name: 'ada', role: 'admin' })).token.reveal(),
  };
  return {
    store,
    events,
    context,
    asked,
    lines,
    secrets,
    caller,
    as: (role: ApiRole) => caller(secrets[role]),
    baseUrl,
    ca: ca.ca,
    stopServer: () => server.stop(),
    stop: async () => {
      await server.stop();
      health.stop();
      await store.close();
    },
  };
}

export type TestApi = Awaited<ReturnType<typeof startTestApi>>;
