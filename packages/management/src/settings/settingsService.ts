import { didYouMean, isoNow, makeKeyedQueue, type Clock, type Logger } from '@fenceline/common';
import { DomainError, parseBody, type SettingView } from '@fenceline/protocol';
import type { Actor } from '../api/services.js';
import { writeAudit } from '../access/audit.js';
import type { SettingsTable } from '../store/schema.js';
import { fromJson, type Queryable, type Store } from '../store/store.js';
import {
  nearSettings,
  settingCatalog,
  settingSpec,
  valueProblem,
  type SettingSpec,
} from './catalog.js';
import {
  CLUSTER_SETTINGS,
  HA_MODES,
  Settings,
  settingsProblems,
  type HaSettings,
  type SettingsSource,
} from './settings.js';

export interface SettingChange {
  name: string;
  /** `null` takes back what was set through the API. */
  value: unknown;
  actor: Actor;
  reason?: string | undefined;
  /** Absent: for the whole site. */
  cluster?: ClusterRef | undefined;
}

/** A cluster that exists. */
export interface ClusterRef {
  uuid: string;
  name: string;
}

/** In place of a cluster's uuid: a change for the whole site. */
export const WHOLE_SITE = '';

/** The settings: the file's values as base, what was set through the API above them. */
export interface SettingsService extends SettingsSource {
  /** All of the site; of a cluster those that it may have for itself. */
  list(cluster?: ClusterRef): Promise<SettingView[]>;
  /** @throws DomainError NOT_FOUND with near names. */
  show(name: string, cluster?: ClusterRef): Promise<SettingView>;
  /**
   * Changes one setting, durably and with an audit row; in force with the next use.
   * @throws DomainError NOT_FOUND (with near names), BAD_INPUT (type, range, relation, or a
   *   setting that no cluster has for itself), REFUSED (`ha.mode`, less careful than the
   *   configuration).
   */
  put(change: SettingChange): Promise<SettingView>;
}

export interface SettingsDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  base: Settings;
}

/** @throws DomainError BAD_INPUT if what is stored no longer fits the file's values. */
export async function makeSettingsService(deps: SettingsDeps): Promise<SettingsService> {
  const { store, clock } = deps;
  // One change at a time: each is checked against all others.
  const changes = makeKeyedQueue(64);
  let inForce = inForceOf(deps, await storedRows(store.db));

  const put = async (change: SettingChange): Promise<SettingView> => {
    const spec = specOf(change.name);
    const { name } = spec;
    const { cluster } = change;
    refuseForCluster(name, cluster);
    const problem = change.value === null ? undefined : valueProblem(spec, change.value);
    if (problem !== undefined) throw new DomainError('BAD_INPUT', problem);
    refuseOutranked(deps, change);
    const of = cluster?.uuid ?? WHOLE_SITE;
    const rows = (await storedRows(store.db)).filter((row) => !isRow(row, name, of));
    const row = {
      clusterUuid: of,
      name,
      valueJson: JSON.stringify(change.value),
      changedAt: isoNow(clock),
      changedBy: change.actor.name,
    };
    const removes = change.value === null;
    const next = inForceOf(deps, removes ? rows : [...rows, row]);
    const before = valueAt(inForce.of(cluster?.uuid), name);
    await store.transaction(async (tx) => {
      const old = tx.deleteFrom('settings').where('name', '=', name);
      await old.where('clusterUuid', '=', of).execute();
      if (!removes) await tx.insertInto('settings').values(row).execute();
      const target = cluster === undefined ? name : `${name} of cluster ${cluster.name}`;
      const facts = { before: JSON.stringify(before), after: JSON.stringify(change.value) };
      await writeAudit(tx, clock, { ...change, action: 'setting.put', target, facts });
    });
    inForce = next;
    return viewOf(specOf(name), await lookOf(cluster));
  };

  const lookOf = async (cluster: ClusterRef | undefined): Promise<Look> => {
    const clusters = await store.db.selectFrom('clusters').select(['uuid', 'name']).execute();
    return { inForce, cluster, clusters, rows: await storedRows(store.db) };
  };

  return {
    current: (clusterUuid) => inForce.of(clusterUuid),
    list: async (cluster) => {
      const look = await lookOf(cluster);
      return settingCatalog
        .filter(({ name }) => cluster === undefined || CLUSTER_SETTINGS.includes(name))
        .map((spec) => viewOf(spec, look));
    },
    show: async (name, cluster) => viewOf(specOf(name), await lookOf(cluster)),
    put: (change) => changes.run('settings', () => put(change)),
  };
}

function refuseForCluster(name: string, cluster: ClusterRef | undefined): void {
  if (cluster === undefined || CLUSTER_SETTINGS.includes(name)) return;
  throw new DomainError(
    'BAD_INPUT',
    `${name}: is one for the whole site; a cluster may have for itself: ` +
      CLUSTER_SETTINGS.join(', '),
  );
}

/** The settings of the site, and of each cluster that has some for itself. */
interface InForce {
  of(clusterUuid: string | undefined): Settings;
}

/** Every combination is checked, so that no cluster is left with settings that don't fit. */
function inForceOf(deps: SettingsDeps, rows: readonly SettingsTable[]): InForce {
  const ofSite = rows.filter(({ clusterUuid }) => clusterUuid === WHOLE_SITE);
  const site = withOverrides(deps, ofSite);
  const clusters = new Map<string, Settings>();
  for (const { clusterUuid } of rows) {
    if (clusterUuid === WHOLE_SITE || clusters.has(clusterUuid)) continue;
    const own = rows.filter((row) => row.clusterUuid === clusterUuid);
    clusters.set(clusterUuid, withOverrides(deps, [...ofSite, ...own]));
  }
  return { of: (clusterUuid) => clusters.get(clusterUuid ?? WHOLE_SITE) ?? site };
}

function isRow(row: SettingsTable, name: string, clusterUuid: string): boolean {
  return row.name === name && row.clusterUuid === clusterUuid;
}

function specOf(name: string): SettingSpec {
  const spec = settingSpec(name);
  if (spec !== undefined) return spec;
  const near = nearSettings(name);
  const hint = near.length === 0 ? '; see: fenceline settings get' : didYouMean(near);
  throw new DomainError('NOT_FOUND', `there is no setting ${name}${hint}`, {
    nearest: near[0] ?? null,
  });
}

function storedRows(on: Queryable): Promise<SettingsTable[]> {
  return on.selectFrom('settings').selectAll().execute();
}

/** Base and overrides as one checked whole. */
function withOverrides(deps: SettingsDeps, rows: readonly SettingsTable[]): Settings {
  const tree = structuredClone(deps.base) as unknown as Record<string, unknown>;
  for (const row of rows) {
    if (settingSpec(row.name) === undefined)
      deps.log.warn('a stored setting is not known to this version, ignored', { name: row.name });
    else setAt(tree, row.name.split('.'), fromJson<unknown>(row.valueJson));
  }
  const settings = parseBody(Settings, tree);
  settings.ha.mode = moreCareful(deps.base.ha.mode, settings.ha.mode);
  const problems = settingsProblems(settings);
  if (problems.length > 0) throw new DomainError('BAD_INPUT', problems.join('; '));
  return settings;
}

/**
 * safety: what the server's own configuration says of `ha.mode` can't be outranked by a database: a
 * restored one would put HA to work on what it knew then.
 */
function moreCareful(...modes: HaSettings['mode'][]): HaSettings['mode'] {
  return modes.toSorted((a, b) => HA_MODES.indexOf(b) - HA_MODES.indexOf(a))[0] ?? 'disarmed';
}

function refuseOutranked({ base }: SettingsDeps, { name, value }: SettingChange): void {
  const own = base.ha.mode;
  const mode = HA_MODES.find((each) => each === value);
  if (name !== 'ha.mode' || mode === undefined || moreCareful(own, mode) === mode) return;
  throw new DomainError(
    'REFUSED',
    `ha.mode: the server's own configuration says ${own}, and the more careful of the two holds; ` +
      'change it there and restart the server',
  );
}

/** What a view of settings is made of. */
interface Look {
  inForce: InForce;
  cluster: ClusterRef | undefined;
  clusters: readonly ClusterRef[];
  rows: readonly SettingsTable[];
}

function viewOf(spec: SettingSpec, { inForce, cluster, clusters, rows }: Look): SettingView {
  const { allowed, ...rest } = spec;
  const row = rows.find((each) => isRow(each, spec.name, cluster?.uuid ?? WHOLE_SITE));
  const others = cluster === undefined ? clusters : [];
  return {
    ...rest,
    ...(allowed === undefined ? {} : { allowed: [...allowed] }),
    value: valueAt(inForce.of(cluster?.uuid), spec.name),
    overridden: row !== undefined,
    changedAt: row?.changedAt ?? null,
    changedBy: row?.changedBy ?? null,
    perCluster: CLUSTER_SETTINGS.includes(spec.name),
    cluster: cluster?.name ?? null,
    clusterValues: others
      .filter(({ uuid }) => rows.some((each) => isRow(each, spec.name, uuid)))
      .map(({ uuid, name }) => ({ cluster: name, value: valueAt(inForce.of(uuid), spec.name) })),
  };
}

function valueAt(settings: Settings, name: string): unknown {
  let at: unknown = settings;
  for (const key of name.split('.')) at = (at as Record<string, unknown>)[key];
  return at;
}

function setAt(tree: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first, ...rest] = path;
  if (first === undefined) return;
  if (rest.length === 0) tree[first] = value;
  else setAt(tree[first] as Record<string, unknown>, rest, value);
}
