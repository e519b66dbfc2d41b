import { isoNow, type Clock } from '@fenceline/common';
import type { PowerControl } from '../fencing/power/powerControl.js';
import type { HostDirectory, HostPresence } from '../hosts/contracts.js';
import type { SettingsSource } from '../settings/settings.js';
import type { Store } from '../store/store.js';
import { place, type Placement, type PlacementQuestion } from './place.js';

export interface PlacerDeps {
  store: Store;
  directory: HostDirectory;
  presence: HostPresence;
  power: Pick<PowerControl, 'unresolved'>;
  settings: SettingsSource;
  clock: Clock;
}

export type PlaceAsk = Omit<PlacementQuestion, 'hosts' | 'reserveMemoryMiB' | 'now'>;

/** Where could this VM run now? The dry question and the real one are the same call. */
export type Placer = (ask: PlaceAsk) => Promise<Placement>;

export function makePlacer(deps: PlacerDeps): Placer {
  return async (ask) => {
    const [hosts, load, unresolved] = await Promise.all([
      deps.directory.all(),
      loadByHost(deps.store),
      deps.power.unresolved(),
    ]);
    return place({
      ...ask,
      reserveMemoryMiB: deps.settings.current().host.reserveMemoryMiB,
      now: isoNow(deps.clock),
      hosts: hosts.map((host) => ({
        host,
        linkUp: deps.presence.linkUp(host.uuid),
        usedMemoryMiB: load.get(host.uuid)?.memoryMiB ?? 0,
        openRuns: load.get(host.uuid)?.runs ?? 0,
        powerUnresolved: unresolved.includes(host.uuid),
      })),
    });
  };
}

async function loadByHost(store: Store): Promise<Map<string, { runs: number; memoryMiB: number }>> {
  const rows = await store.db
    .selectFrom('runs')
    .innerJoin('vms', 'vms.uuid', 'runs.vmUuid')
    .select(({ fn }) => [
      'runs.hostUuid',
      fn.countAll<number>().as('runs'),
      fn.sum<number>('vms.memoryMiB').as('memoryMiB'),
    ])
    .where('runs.state', '!=', 'closed')
    .groupBy('runs.hostUuid')
    .execute();
  return new Map(rows.map(({ hostUuid, runs, memoryMiB }) => [hostUuid, { runs, memoryMiB }]));
}
