import { isoNow, makeKeyedQueue, type Clock, type Logger } from '@fenceline/common';
import { DomainError, parseBody, type SettingView } from '@fenceline/protocol';
import type { Actor } from '../api/services.js';
import { writeAudit } from '../access/audit.js';
import type { SettingsTable } from '../store/schema.js';
import { fromJson, type Queryable, type Store } from '../store/store.js';
import { nearestSetting, settingCatalog, settingSpec, type SettingSpec } from './catalog.js';
import { Settings, settingsProblems, type SettingsSource } from './settings.js';

export interface SettingChange {
  name: string;
  /** `null` takes back what was set through the API. */
  value: unknown;
  actor: Actor;
  reason?: string | undefined;
}

/** The settings: the file's values as base, what was set through the API above them. */
export interface SettingsService extends SettingsSource {
  list(): Promise<SettingView[]>;
  /** @throws DomainError NOT_FOUND with the nearest name. */
  show(name: string): Promise<SettingView>;
  /**
   * Changes one setting, durably and with an audit row; in force with the next use.
   * @throws DomainError NOT_FOUND (with the nearest name), BAD_INPUT (type, range, relation).
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
  let current = withOverrides(deps, await storedRows(store.db));

  const put = async (change: SettingChange): Promise<SettingView> => {
    const { name } = specOf(change.name);
    const rows = (await storedRows(store.db)).filter((row) => row.name !== name);
    const row = {
      name,
      valueJson: JSON.stringify(change.value),
      changedAt: isoNow(clock),
      changedBy: change.actor.name,
    };
    const removes = change.value === null;
    const next = withOverrides(deps, removes ? rows : [...rows, row]);
    const before = valueAt(current, name);
    await store.transaction(async (tx) => {
      await tx.deleteFrom('settings').where('name', '=', name).execute();
      if (!removes) await tx.insertInto('settings').values(row).execute();
      const audit = { ...change, action: 'setting.put', target: name };
      const facts = { before: JSON.stringify(before), after: JSON.stringify(change.value) };
      await writeAudit(tx, clock, { ...audit, facts });
    });
    current = next;
    return viewOf(specOf(name), current, removes ? undefined : row);
  };

  return {
    current: () => current,
    list: async () => {
      const rows = new Map((await storedRows(store.db)).map((row) => [row.name, row]));
      return settingCatalog.map((spec) => viewOf(spec, current, rows.get(spec.name)));
    },
    show: async (name) => {
      const rows = await storedRows(store.db);
      return viewOf(
        specOf(name),
        current,
        rows.find((row) => row.name === name),
      );
    },
    put: (change) => changes.run('settings', () => put(change)),
  };
}

function specOf(name: string): SettingSpec {
  const spec = settingSpec(name);
  if (spec !== undefined) return spec;
  const nearest = nearestSetting(name);
  throw new DomainError('NOT_FOUND', `there is no setting ${name}; did you mean ${nearest}?`, {
    nearest,
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
  const settings = parseSettings(tree);
  const problems = settingsProblems(settings);
  if (problems.length > 0) throw new DomainError('BAD_INPUT', problems.join('; '));
  return settings;
}

function parseSettings(tree: object): Settings {
  try {
    return parseBody(Settings, tree);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    throw new DomainError('BAD_INPUT', error.message.replace(/^invalid \w+: /, ''));
  }
}

function viewOf(
  spec: SettingSpec,
  settings: Settings,
  row: Pick<SettingsTable, 'changedAt' | 'changedBy'> | undefined,
): SettingView {
  const { allowed, ...rest } = spec;
  return {
    ...rest,
    ...(allowed === undefined ? {} : { allowed: [...allowed] }),
    value: valueAt(settings, spec.name),
    overridden: row !== undefined,
    changedAt: row?.changedAt ?? null,
    changedBy: row?.changedBy ?? null,
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
