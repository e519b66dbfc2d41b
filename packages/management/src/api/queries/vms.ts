import {
  DomainError,
  VM_STATES,
  type DiskRef,
  type ListVmsRequest,
  type RunView,
  type VmDetailView,
  type VmPage,
  type VmState,
  type VmView,
} from '@fenceline/protocol';
import type { HaSettings } from '../../settings/settings.js';
import type { VmsTable } from '../../store/schema.js';
import { fromJson, type Queryable } from '../../store/store.js';
import { doubledRuns, runsText, type OpenRun } from '../rules/doubled.js';
import { protectionRule, type Protection } from '../rules/protection.js';
import { hostFacts } from './hosts.js';
import { findOptional } from './lookup.js';
import { pageAsk, pageOf } from './paging.js';

const MAX_RUNS_SHOWN = 50;

/** The settings of a cluster; of the whole site without one. */
export type HaOf = (clusterUuid?: string) => HaSettings;

interface VmRow extends Omit<VmsTable, 'domainXml' | 'disksJson'> {
  openTaskUuid: string | null;
  /** SQLite's truth: 0 or 1. */
  writtenByUring: unknown;
}

function vmRows(on: Queryable) {
  return on
    .selectFrom('vms')
    .leftJoin('haTasks', (join) =>
      join.onRef('haTasks.vmUuid', '=', 'vms.uuid').on('haTasks.endedAt', 'is', null),
    )
    .select(['vms.uuid', 'vms.clusterUuid', 'vms.name', 'vms.hypervisor', 'vms.state'])
    .select(['vms.hostUuid', 'vms.lastHostUuid', 'vms.memoryMiB', 'vms.cpus', 'vms.level'])
    .select(['vms.priority', 'vms.stoppedByPerson', 'vms.epoch', 'vms.createdAt'])
    .select('haTasks.uuid as openTaskUuid')
    .select((eb) => eb('vms.disksJson', 'like', '%"kind":"uring-%').as('writtenByUring'));
}

export async function listVms(on: Queryable, query: ListVmsRequest, haOf: HaOf): Promise<VmPage> {
  const ask = pageAsk(query, 2);
  const cluster = await findOptional(on, 'clusters', query.cluster);
  const host = await findOptional(on, 'hosts', query.host);
  let rows = vmRows(on)
    .orderBy('vms.name')
    .orderBy('vms.uuid')
    .limit(ask.limit + 1);
  if (cluster !== undefined) rows = rows.where('vms.clusterUuid', '=', cluster);
  if (host !== undefined) rows = rows.where('vms.hostUuid', '=', host);
  if (query.state !== undefined) rows = rows.where('vms.state', '=', query.state);
  if (query.level !== undefined) rows = rows.where('vms.level', '=', query.level);
  if (ask.after !== undefined) {
    const [name, uuid] = ask.after.map(String);
    rows = rows.where((eb) =>
      eb(eb.refTuple('vms.name', 'vms.uuid'), '>', eb.tuple(name ?? '', uuid ?? '')),
    );
  }
  return pageOf(await rows.execute(), ask, {
    keys: (row) => [row.name, row.uuid],
    view: await vmViewer(on, haOf),
  });
}

export async function allVms(on: Queryable, haOf: HaOf): Promise<VmView[]> {
  const rows = await vmRows(on).orderBy('vms.name').orderBy('vms.uuid').execute();
  return rows.map(await vmViewer(on, haOf));
}

/** @throws DomainError NOT_FOUND */
export async function showVm(on: Queryable, vmUuid: string, haOf: HaOf): Promise<VmDetailView> {
  const row = await vmRows(on)
    .select('vms.disksJson')
    .where('vms.uuid', '=', vmUuid)
    .executeTakeFirst();
  if (row === undefined) throw new DomainError('NOT_FOUND', `there is no VM ${vmUuid}`);
  return Object.assign((await vmViewer(on, haOf))(row), {
    disks: fromJson<DiskRef[]>(row.disksJson),
    runs: await runsOf(on, vmUuid),
  });
}

function runsOf(on: Queryable, vmUuid: string): Promise<RunView[]> {
  return on
    .selectFrom('runs')
    .leftJoin('hosts', 'hosts.uuid', 'runs.hostUuid')
    .leftJoin('proofs', 'proofs.uuid', 'runs.proofUuid')
    .select(['runs.epoch', 'runs.hostUuid', 'runs.bootId', 'runs.state', 'openedAt', 'closedAt'])
    .select(['proofUuid', 'hosts.name as hostName', 'proofs.kind as proofKind'])
    .where('runs.vmUuid', '=', vmUuid)
    .orderBy('runs.epoch', 'desc')
    .limit(MAX_RUNS_SHOWN)
    .execute();
}

/** VMs that may run twice, with their open runs. */
export async function doubledVms(on: Queryable): Promise<ReadonlyMap<string, readonly OpenRun[]>> {
  const open = await on
    // A cross join keeps this order, so that the index by host and state is used: the ledger keeps
    // every closed run for ever.
    .selectFrom('hosts')
    .crossJoin('runs')
    .whereRef('runs.hostUuid', '=', 'hosts.uuid')
    .select(['runs.vmUuid', 'runs.epoch', 'runs.hostUuid', 'runs.state', 'hosts.name as hostName'])
    .where('runs.state', 'in', ['maybe', 'running'])
    .execute();
  return doubledRuns(open);
}

async function vmViewer(on: Queryable, haOf: HaOf): Promise<(row: VmRow) => VmView> {
  const hosts = await hostFacts(on);
  const doubled = await doubledVms(on);
  const byUuid = new Map(hosts.map((host) => [host.uuid, host]));
  const rules = new Map<string, ReturnType<typeof protectionRule>>();
  return (row) => {
    const protection = rules.get(row.clusterUuid) ?? protectionRule(hosts, haOf(row.clusterUuid));
    rules.set(row.clusterUuid, protection);
    const host = row.hostUuid === null ? undefined : byUuid.get(row.hostUuid);
    const runs = doubled.get(row.uuid);
    const facts = {
      ...{ level: row.level, hypervisor: row.hypervisor, state: row.state, host },
      stoppedByPerson: row.stoppedByPerson === 1,
      writtenByUring: row.writtenByUring === 1,
      runsTwice: runs && runsText(runs),
    };
    return vmView(row, host?.name ?? null, protection(facts));
  };
}

function vmView(row: VmRow, hostName: string | null, protection: Protection): VmView {
  return {
    uuid: row.uuid,
    name: row.name,
    clusterUuid: row.clusterUuid,
    hypervisor: row.hypervisor,
    state: isVmState(row.state) ? row.state : 'Unknown',
    hostUuid: row.hostUuid,
    hostName,
    lastHostUuid: row.lastHostUuid,
    memoryMiB: row.memoryMiB,
    cpus: row.cpus,
    level: row.level,
    priority: row.priority,
    stoppedByPerson: row.stoppedByPerson === 1,
    epoch: row.epoch,
    protected: protection.protected,
    protection: protection.text,
    proofs: protection.proofs,
    openTaskUuid: row.openTaskUuid,
    createdAt: row.createdAt,
  };
}

function isVmState(state: string): state is VmState {
  return (VM_STATES as readonly string[]).includes(state);
}
