import { silentLogger, type Logger } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { makeMessageBus, type MessageBus } from '../../messages/bus.js';
import { Settings } from '../../settings/settings.js';
import { openMemoryStore } from '../../store/adapters/sqlite.js';
import type { Store } from '../../store/store.js';
import { makeEvents, type Events, type FenceEvent } from '../../telemetry/events.js';
import { makeHostRepository, newHostRow, type HostRepository } from '../repository.js';
import { FakeAgents } from './fakeAgents.js';
import type { FakeAgent } from './fakeAgent.js';

export const CLUSTER = '00000000-0000-4000-8000-0000000000c1';

export function hostUuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

/** What tests of the host domain share: virtual time, a store in memory, fake agents. */
export interface World {
  clock: VirtualClock;
  store: Store;
  events: Events;
  /** Every event since the start. */
  seen: FenceEvent[];
  bus: MessageBus;
  gateway: FakeAgents;
  settings: Settings;
  random: ReturnType<typeof seededRandom>;
  owner: { uuid: string };
  log: Logger;
  repository: HostRepository;
  /** A host row and its agent, `h1` for 1; not connected yet. */
  addHost: (n: number, clusterUuid?: string) => Promise<FakeAgent>;
  kinds: () => string[];
}

export async function makeWorld(log: Logger = silentLogger): Promise<World> {
  const clock = new VirtualClock();
  const store = await openMemoryStore();
  const events = makeEvents(store, clock, log);
  const seen: FenceEvent[] = [];
  events.listen((event) => seen.push(event));
  const owner = { uuid: '00000000-0000-4000-8000-00000000beef' };
  const repository = makeHostRepository({ store, clock, events, owner });
  const gateway = new FakeAgents(clock);
  const settings = new Settings();
  settings.host.reserveMemoryMiB = 1_024;
  const cluster = { uuid: CLUSTER, name: 'c1', createdAt: '2026-01-01T00:00:00.000Z' };
  await store.db.insertInto('clusters').values(cluster).execute();
  return {
    clock,
    store,
    events,
    seen,
    bus: makeMessageBus(clock, log),
    gateway,
    settings,
    random: seededRandom(7),
    owner,
    log,
    repository,
    kinds: () => seen.map(({ kind }) => kind),
    async addHost(n, clusterUuid = CLUSTER) {
      const address = `192.0.2.${n}`;
      const uuid = hostUuid(n);
      const ports = { agentPort: 7_070, sshPort: 22, sshUsername: 'root' };
      const fields = { uuid, clusterUuid, name: `h${n}`, addresses: [address], ...ports };
      await repository.insert(newHostRow(fields, clock), store.db);
      return gateway.add(uuid, address);
    },
  };
}
