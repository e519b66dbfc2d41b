import type {
  AuditView,
  ClusterView,
  EventView,
  NodeView,
  SettingView,
  TokenView,
} from '@fenceline/protocol';
import { cell, clean, table, type Cell, type Paint } from './text.js';
import { factText } from './tasks.js';
import { clockTime, shortTime } from './time.js';
import { severityTone } from './words.js';

/** One event as one line. */
export function eventLine(event: EventView, paint: Paint): string {
  const head = `${event.at.slice(0, 10)} ${clockTime(event.at)}`;
  const kind = paint(event.kind.padEnd(24), 'dim');
  return `${head}  ${kind}  ${paint(clean(event.text), severityTone(event.severity))}`;
}

export function settingTable(settings: readonly SettingView[], paint: Paint): string[] {
  return table(
    ['SETTING', 'VALUE', 'UNIT', 'DEFAULT', 'RANGE', 'CHANGED BY'],
    settings.flatMap(settingRows),
    paint,
  );
}

/** A line for the site, or the cluster that was asked about, and one for each that differs. */
function settingRows(setting: SettingView): Cell[][] {
  const name = setting.cluster === null ? setting.name : `${setting.name} (${setting.cluster})`;
  return [
    [
      cell(name, setting.overridden ? 'strong' : 'plain'),
      cell(valueText(setting.value), setting.overridden ? 'warn' : 'plain'),
      cell(setting.unit),
      cell(valueText(setting.default), 'dim'),
      cell(rangeText(setting)),
      cell(setting.changedBy),
    ],
    ...setting.clusterValues.map(({ cluster, value }) => [
      cell(`  in cluster ${cluster}`, 'strong'),
      cell(valueText(value), 'warn'),
      ...[cell(setting.unit), cell(''), cell(''), cell('')],
    ]),
  ];
}

function rangeText({ min, max, allowed }: SettingView): string {
  if (allowed !== undefined) return allowed.map(valueText).join(' | ');
  if (min === undefined && max === undefined) return '-';
  return `${min ?? ''}…${max ?? ''}`;
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function clusterTable(clusters: readonly ClusterView[], paint: Paint): string[] {
  return table(
    ['CLUSTER', 'UUID', 'CREATED'],
    clusters.map(({ name, uuid, createdAt }) => [
      cell(name, 'strong'),
      cell(uuid),
      cell(shortTime(createdAt)),
    ]),
    paint,
  );
}

export function tokenTable(tokens: readonly TokenView[], paint: Paint): string[] {
  return table(
    ['TOKEN', 'ROLE', 'UUID', 'CREATED'],
    tokens.map(({ name, role, uuid, createdAt }) => [
      cell(name, 'strong'),
      cell(role),
      cell(uuid),
      cell(shortTime(createdAt)),
    ]),
    paint,
  );
}

export function auditTable(rows: readonly AuditView[], paint: Paint): string[] {
  return table(
    ['AT', 'WHO', 'ROLE', 'ACTION', 'TARGET', 'REASON', 'FACTS'],
    rows.map((row) => [
      cell(shortTime(row.at)),
      cell(row.actor, 'strong'),
      cell(row.role),
      cell(row.action),
      cell(row.target),
      cell(row.reason),
      cell(factText(row.facts)),
    ]),
    paint,
  );
}

export function nodeTable(nodes: readonly NodeView[], paint: Paint): string[] {
  return table(
    ['NODE', 'VERSION', 'STARTED', 'STARTS', 'DATABASE', 'THIS ONE'],
    nodes.map((node) => [
      cell(node.uuid, 'strong'),
      cell(node.version),
      cell(shortTime(node.startedAt)),
      cell(node.ownerEpoch),
      cell(node.databaseIncarnation),
      cell(node.self ? 'yes' : ''),
    ]),
    paint,
  );
}
