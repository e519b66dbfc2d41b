import {
  DomainError,
  type HostPage,
  type HostView,
  type ListHostsRequest,
  type LoginKind,
  type PowerLevelView,
  type PowerReadiness,
} from '@fenceline/protocol';
import type { ExpressionBuilder } from 'kysely';
import { isVerified } from '../../fencing/power/powerTopology.js';
import { isUnderSuspicion } from '../../hosts/liveness.js';
import type { Database, HostsTable } from '../../store/schema.js';
import { fromJson, type Queryable } from '../../store/store.js';
import type { HostFacts } from '../rules/protection.js';
import { findOptional } from './lookup.js';
import { pageAsk, pageOf } from './paging.js';

interface HostRow extends HostsTable {
  clusterName: string | null;
  loginKind: LoginKind | null;
  openRuns: number;
  powerUnresolvedSince: string | null;
}

/** Hosts with their cluster and open runs. */
function hostRows(on: Queryable) {
  return on
    .selectFrom('hosts')
    .leftJoin('clusters', 'clusters.uuid', 'hosts.clusterUuid')
    .selectAll('hosts')
    .select('clusters.name as clusterName')
    .leftJoin('hostLogins', 'hostLogins.hostUuid', 'hosts.uuid')
    .select('hostLogins.kind as loginKind')
    .select((eb) =>
      eb
        .selectFrom('runs')
        .select(eb.fn.countAll<number>().as('count'))
        .whereRef('runs.hostUuid', '=', 'hosts.uuid')
        .where('runs.state', '<>', 'closed')
        .$asScalar()
        .$notNull()
        .as('openRuns'),
    )
    .select((eb) => powerUnresolvedSince(eb).as('powerUnresolvedSince'));
}

/** Of the oldest order of a host whose outcome is not known. */
function powerUnresolvedSince(eb: ExpressionBuilder<Database, 'hosts'>) {
  return eb
    .selectFrom('powerOrders')
    .select(({ fn }) => fn.min('powerOrders.orderedAt').as('since'))
    .whereRef('powerOrders.hostUuid', '=', 'hosts.uuid')
    .where('powerOrders.resolvedAt', 'is', null)
    .$asScalar();
}

export async function listHosts(on: Queryable, query: ListHostsRequest): Promise<HostPage> {
  const ask = pageAsk(query, 2);
  const cluster = await findOptional(on, 'clusters', query.cluster);
  let rows = hostRows(on)
    .orderBy('hosts.name')
    .orderBy('hosts.uuid')
    .limit(ask.limit + 1);
  const { status, state, liveness } = query;
  if (cluster !== undefined) rows = rows.where('hosts.clusterUuid', '=', cluster);
  if (status !== undefined) rows = rows.where('hosts.status', '=', status);
  if (state !== undefined) rows = rows.where('hosts.state', '=', state);
  if (liveness !== undefined) rows = rows.where('hosts.liveness', '=', liveness);
  if (ask.after !== undefined) {
    const [name, uuid] = ask.after.map(String);
    rows = rows.where((eb) =>
      eb(eb.refTuple('hosts.name', 'hosts.uuid'), '>', eb.tuple(name ?? '', uuid ?? '')),
    );
  }
  const power = await powerViews(on);
  return pageOf(await rows.execute(), ask, {
    keys: (row) => [row.name, row.uuid],
    view: (row) => hostView(row, power),
  });
}

export async function allHosts(on: Queryable): Promise<HostView[]> {
  const rows = await hostRows(on).orderBy('hosts.name').orderBy('hosts.uuid').execute();
  const power = await powerViews(on);
  return rows.map((row) => hostView(row, power));
}

/** @throws DomainError NOT_FOUND */
export async function showHost(on: Queryable, hostUuid: string): Promise<HostView> {
  const row = await hostRows(on).where('hosts.uuid', '=', hostUuid).executeTakeFirst();
  if (row === undefined) throw new DomainError('NOT_FOUND', `there is no host ${hostUuid}`);
  return hostView(row, await powerViews(on, hostUuid));
}

/** What the rules of readiness need of every host. */
export async function hostFacts(on: Queryable): Promise<HostFacts[]> {
  const rows = await on
    .selectFrom('hosts')
    .select(['hosts.uuid', 'name', 'clusterUuid', 'hypervisor', 'status', 'state'])
    .select(['liveness', 'agentVersion', 'hookWorking', 'hookWhy'])
    .select((eb) => powerUnresolvedSince(eb).as('powerUnresolvedSince'))
    .orderBy('name')
    .orderBy('hosts.uuid')
    .execute();
  const power = await powerViews(on);
  return rows.map((row) => ({ ...row, power: powerReadiness(power.get(row.uuid) ?? []) }));
}

/** One level whose every device is proven is enough. */
function powerReadiness(levels: readonly PowerLevelView[]): PowerReadiness {
  if (levels.length === 0) return 'none';
  return levels.some(({ verified }) => verified) ? 'verified' : 'unverified';
}

/**
 * What the API tells of the stored flag: "works" only while the agent that would say otherwise is
 * connected, as the hook may be gone since.
 */
export function hookWorking({
  hookWorking: flag,
  status,
  liveness,
}: Pick<HostsTable, 'hookWorking' | 'status' | 'liveness'>): boolean | null {
  if (flag !== 1) return flag === null ? null : false;
  return status === 'Connected' && !isUnderSuspicion(liveness) ? true : null;
}

/** The power devices by host, without their parameters (F28). */
async function powerViews(
  on: Queryable,
  hostUuid?: string,
): Promise<ReadonlyMap<string, PowerLevelView[]>> {
  let query = on
    .selectFrom('powerDevices')
    .select(['hostUuid', 'level', 'agent', 'verifiedAt'])
    .orderBy('hostUuid')
    .orderBy('level')
    .orderBy('position');
  if (hostUuid !== undefined) query = query.where('hostUuid', '=', hostUuid);
  const byHost = new Map<string, PowerLevelView[]>();
  for (const row of await query.execute()) {
    const levels = byHost.get(row.hostUuid) ?? [];
    byHost.set(row.hostUuid, levels);
    const device = { agent: row.agent, verifiedAt: row.verifiedAt };
    const known = levels.find(({ level }) => level === row.level);
    if (known === undefined)
      levels.push({ level: row.level, verified: row.verifiedAt !== null, devices: [device] });
    else {
      known.devices.push(device);
      known.verified = isVerified(known);
    }
  }
  return byHost;
}

function hostView(row: HostRow, power: ReadonlyMap<string, PowerLevelView[]>): HostView {
  const powerLevels = power.get(row.uuid) ?? [];
  return {
    uuid: row.uuid,
    name: row.name,
    clusterUuid: row.clusterUuid,
    clusterName: row.clusterName ?? '',
    hypervisor: row.hypervisor,
    addresses: fromJson<string[]>(row.addressesJson),
    agentPort: row.agentPort,
    sshPort: row.sshPort,
    sshUsername: row.sshUsername,
    status: row.status,
    state: row.state,
    liveness: row.liveness,
    livenessReason: row.livenessReason,
    quarantinedUntil: row.quarantinedUntil,
    bootId: row.bootId,
    agentVersion: row.agentVersion,
    cpus: row.cpus,
    memoryMiB: row.memoryMiB,
    lastSignOfLifeAt: row.lastSignOfLifeAt,
    reconnectsEnded: row.reconnectsEnded,
    connectFailure: row.connectFailure,
    hookWorking: hookWorking(row),
    hookWhy: row.hookWhy,
    powerDevice: powerLevels[0]?.devices[0] ?? null,
    powerLevels,
    powerUnresolvedSince: row.powerUnresolvedSince,
    // Not in the store: `withFencing` fills them in.
    canBeFencedBy: [],
    noFenceLineSince: null,
    orderTokens: null,
    login: row.loginKind,
    openRuns: row.openRuns,
    createdAt: row.createdAt,
  };
}
