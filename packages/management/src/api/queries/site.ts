import { isoNow, type Clock } from '@fenceline/common';
import {
  FENCELINE_VERSION,
  type AuditPage,
  type ClusterPage,
  type ListAuditRequest,
  type PageQuery,
  type ReadinessView,
  type StatusView,
  type TokenPage,
  type ViewFacts,
} from '@fenceline/protocol';
import { fromJson, type Queryable } from '../../store/store.js';
import { alarmsOf } from '../rules/alarms.js';
import { peersOf, whyNotPeer } from '../rules/protection.js';
import { beginning } from './events.js';
import { fencersOf, withFencing, type FencingSeen } from './fencers.js';
import { allHosts, hookWorking, hostFacts } from './hosts.js';
import { pageAsk, pageOf } from './paging.js';
import { openTasks } from './tasks.js';
import { allVms, doubledVms, type HaOf } from './vms.js';

export async function listClusters(on: Queryable, query: PageQuery): Promise<ClusterPage> {
  const ask = pageAsk(query, 1);
  let rows = on
    .selectFrom('clusters')
    .selectAll()
    .orderBy('name')
    .limit(ask.limit + 1);
  if (ask.after !== undefined) rows = rows.where('name', '>', String(ask.after[0]));
  return pageOf(await rows.execute(), ask, { keys: (row) => [row.name], view: (row) => row });
}

/** Access tokens without their hashes: nobody needs them. */
export async function listTokens(on: Queryable, query: PageQuery): Promise<TokenPage> {
  const ask = pageAsk(query, 1);
  let rows = on
    .selectFrom('tokens')
    .select(['uuid', 'name', 'role', 'createdAt'])
    .orderBy('name')
    .limit(ask.limit + 1);
  if (ask.after !== undefined) rows = rows.where('name', '>', String(ask.after[0]));
  return pageOf(await rows.execute(), ask, { keys: (row) => [row.name], view: (row) => row });
}

/** Newest first. */
export async function listAudit(on: Queryable, query: ListAuditRequest): Promise<AuditPage> {
  const ask = pageAsk(query, 1);
  let rows = on
    .selectFrom('audit')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(ask.limit + 1);
  if (ask.after !== undefined) rows = rows.where('id', '<', Number(ask.after[0]));
  if (query.actor !== undefined) rows = rows.where('actor', '=', query.actor);
  const { action } = query;
  if (action !== undefined)
    rows = rows.where((eb) =>
      eb.or([eb('action', '=', action), eb('action', 'like', beginning(action))]),
    );
  return pageOf(await rows.execute(), ask, {
    keys: (row) => [row.id],
    view: ({ factsJson, ...row }) => ({ ...row, facts: fromJson<ViewFacts>(factsJson) }),
  });
}

export interface StatusAsk {
  clock: Clock;
  haOf: HaOf;
  storeProblem: string | undefined;
  chainProblem: string | undefined;
  seen: FencingSeen;
}

export async function status(on: Queryable, ask: StatusAsk): Promise<StatusView> {
  const clusters = await on.selectFrom('clusters').selectAll().orderBy('name').execute();
  const crossClusterOf = (uuid: string): boolean => ask.haOf(uuid).preFence.crossCluster;
  const hosts = await withFencing(await allHosts(on), on, { seen: ask.seen, crossClusterOf });
  const vms = await allVms(on, ask.haOf);
  const tasks = await openTasks(on);
  const doubled = await doubledVms(on);
  const { storeProblem, chainProblem } = ask;
  const site = ask.haOf();
  const haMode = site.mode;
  const policies = clusters.map(({ uuid, name }) => ({ cluster: name, ha: ask.haOf(uuid) }));
  return {
    at: isoNow(ask.clock),
    serverVersion: FENCELINE_VERSION,
    haMode,
    clusters: clusters.map((cluster) => ({
      cluster,
      hosts: hosts.filter(({ clusterUuid }) => clusterUuid === cluster.uuid),
      vms: vms.filter(({ clusterUuid }) => clusterUuid === cluster.uuid),
    })),
    openTasks: tasks,
    alarms: alarmsOf({
      ...{ policies, hosts, vms, doubled, openTasks: tasks, storeProblem, chainProblem },
    }),
  };
}

/** F15, D19: who could fence whom, and which proofs would work for each VM now. */
export async function readiness(
  on: Queryable,
  haOf: HaOf,
  seen: FencingSeen,
): Promise<ReadinessView> {
  const hosts = await hostFacts(on);
  const vms = await allVms(on, haOf);
  return {
    hosts: hosts.map((host) => {
      const whyNot = whyNotPeer(host);
      const { crossCluster } = haOf(host.clusterUuid).preFence;
      const peers = host.hypervisor === 'KVM' ? peersOf(host, hosts, crossCluster) : [];
      return {
        uuid: host.uuid,
        name: host.name,
        canFence: whyNot === null,
        whyNot,
        peerCount: peers.length,
        canBeFencedBy: fencersOf(peers, seen.linesTo(host.uuid)),
        powerDevice: host.power,
        hookWorking: hookWorking(host),
      };
    }),
    vms: vms.map((vm) => ({
      uuid: vm.uuid,
      name: vm.name,
      hostName: vm.hostName,
      protected: vm.protected,
      proofs: vm.proofs,
      text: vm.protection,
    })),
  };
}
