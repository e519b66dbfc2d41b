import type { Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import type { SettingsSource } from './settings.js';

/** The danger of `ha.unreachable.policy: single`, as it is told in events and in the status. */
export function singleText(cluster: string | undefined): string {
  const where = cluster === undefined ? '' : ` in cluster ${cluster}`;
  return (
    `ha.unreachable.policy is single${where}: one sibling's silence is enough to start a VM ` +
    'elsewhere, and a host whose network is cut looks just like a dead one'
  );
}

/** Whoever turns it on finds it in the events for ever. */
export async function tellSinglePolicy(
  events: Events,
  { name, value }: { name: string; value: unknown },
  cluster: string | undefined,
): Promise<void> {
  if (name !== 'ha.unreachable.policy' || value !== 'single') return;
  const kind = 'ha.unreachable.single';
  await events.record({ kind, severity: 'critical', text: singleText(cluster) });
}

/** At each start of the server, wherever it is in force: it may stand in the file. */
export async function tellSinglePolicies({
  store,
  settings,
  events,
}: {
  store: Store;
  settings: SettingsSource;
  events: Events;
}): Promise<void> {
  const clusters = await store.db.selectFrom('clusters').select(['uuid', 'name']).execute();
  for (const { uuid, name } of clusters) {
    const { policy: value } = settings.current(uuid).ha.unreachable;
    await tellSinglePolicy(events, { name: 'ha.unreachable.policy', value }, name);
  }
}
