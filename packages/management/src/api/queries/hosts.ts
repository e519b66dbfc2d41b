import {
  DomainError,
  type HostPage,
  type HostView,
  type ListHostsRequest,
  type PowerReadiness,
} from '@fenceline/protocol';
import type { HostsTable } from '../../store/schema.js';
import { fromJson, type Queryable } from '../../store/store.js';
import type { HostFacts } from '../rules/protection.js';
import { findOptional } from './lookup.js';
import { pageAsk, pageOf } from './paging.js';

interface HostRow extends HostsTable {
  clusterName: string | null;
  powerAgent: string | null;
  powerVerifiedAt: string | null;
  openRuns: number;
}

/** Hosts with their cluster, power device (never its parameters, F28) and open runs. */
function hostRows(on: Queryable) {
  return on
    .selectFrom('hosts')
    .leftJoin('clusters', 'clusters.uuid', 'hosts.clusterUuid')
    .leftJoin('powerDevices', 'powerDevices.hostUuid', 'hosts.uuid')
    .selectAll('hosts')
    .select(['clusters.name as clusterName', 'powerDevices.agent as powerAgent'])
    .select('powerDevices.verifiedAt as powerVerifiedAt')
    .select((eb) =>
      eb
        .selectFrom('runs')
        .select(eb.fn.countAll<number>().as('count'))
        .whereRef('runs.hostUuid', '=', 'hosts.uuid')
        .where('runs.state', '<>', 'closed')
        .$asScalar()
        .$notNull()
        .as('openRuns'),
    );
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
  return pageOf(await rows.execute(), ask, {
    keys: (row) => [row.name, row.uuid],
    view: hostView,
  });
}

export async function allHosts(on: Queryable): Promise<HostView[]> {
  const rows = await hostRows(on).orderBy('hosts.name').orderBy('hosts.uuid').execute();
  return rows.map(hostView);
}

/** @throws DomainError NOT_FOUND */
export async function showHost(on: Queryable, hostUuid: string): Promise<HostView> {
  const row = await hostRows(on).where('hosts.uuid', '=', hostUuid).executeTakeFirst();
  if (row === undefined) throw new DomainError('NOT_FOUND', `there is no host ${hostUuid}`);
  return hostView(row);
}

/** What the rules of readiness need of every host. */
export async function hostFacts(on: Queryable): Promise<HostFacts[]> {
  const rows = await on
    .selectFrom('hosts')
    .leftJoin('powerDevices', 'powerDevices.hostUuid', 'hosts.uuid')
    .select(['hosts.uuid', 'name', 'clusterUuid', 'hypervisor', 'status', 'state'])
    .select(['liveness', 'agentVersion', 'powerDevices.agent', 'powerDevices.verifiedAt'])
    .orderBy('name')
    .orderBy('hosts.uuid')
    .execute();
  return rows.map(({ agent, verifiedAt, ...row }) => ({
    ...row,
    power: powerReadiness(agent, verifiedAt),
  }));
}

function powerReadiness(agent: string | null, verifiedAt: string | null): PowerReadiness {
  if (agent === null) return 'none';
  return verifiedAt === null ? 'unverified' : 'verified';
}

function hostView(row: HostRow): HostView {
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
    powerDevice:
      row.powerAgent === null ? null : { agent: row.powerAgent, verifiedAt: row.powerVerifiedAt },
    // Not in the store: `withFencing` fills them in.
    canBeFencedBy: [],
    noFenceLineSince: null,
    orderTokens: null,
    openRuns: row.openRuns,
    createdAt: row.createdAt,
  };
}
