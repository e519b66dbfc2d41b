import { route } from '../route.js';
import { ClusterPage, ClusterView, CreateClusterRequest } from './clusters.js';
import * as host from './hosts.js';
import { admins, everybody, operators } from './roles.js';
import { PageQuery } from './rules.js';

/** Clusters and hosts. */
export const hostRoutes = {
  listClusters: route({
    name: 'listClusters',
    method: 'GET',
    path: '/v1/clusters',
    request: PageQuery,
    response: ClusterPage,
    roles: everybody,
    summary: 'All clusters; one named `default` always exists.',
  }),
  createCluster: route({
    name: 'createCluster',
    method: 'POST',
    path: '/v1/clusters',
    request: CreateClusterRequest,
    response: ClusterView,
    roles: admins,
    summary: 'Make a cluster: hosts of one cluster are siblings.',
  }),
  listHosts: route({
    name: 'listHosts',
    method: 'GET',
    path: '/v1/hosts',
    request: host.ListHostsRequest,
    response: host.HostPage,
    roles: everybody,
    summary: 'Hosts by name.',
  }),
  showHost: route({
    name: 'showHost',
    method: 'GET',
    path: '/v1/hosts/:host',
    request: host.HostRequest,
    response: host.HostView,
    roles: everybody,
    summary: 'One host by uuid or name.',
  }),
  addHost: route({
    name: 'addHost',
    method: 'POST',
    path: '/v1/hosts',
    request: host.AddHostRequest,
    response: host.HostView,
    roles: admins,
    summary: 'Add a host and begin to connect it; its status tells how that ends.',
  }),
  reconnectHost: route({
    name: 'reconnectHost',
    method: 'POST',
    path: '/v1/hosts/:host/reconnect',
    request: host.HostReasonRequest,
    response: host.HostView,
    roles: operators,
    summary: 'Begin to connect the host anew.',
  }),
  enableHost: route({
    name: 'enableHost',
    method: 'POST',
    path: '/v1/hosts/:host/enable',
    request: host.HostReasonRequest,
    response: host.HostView,
    roles: operators,
    summary: 'VMs may be placed there.',
  }),
  disableHost: route({
    name: 'disableHost',
    method: 'POST',
    path: '/v1/hosts/:host/disable',
    request: host.HostReasonRequest,
    response: host.HostView,
    roles: operators,
    summary: 'No new VMs there; those that run stay and stay guarded.',
  }),
  removeHost: route({
    name: 'removeHost',
    method: 'DELETE',
    path: '/v1/hosts/:host',
    request: host.HostReasonRequest,
    response: host.RemovedView,
    roles: admins,
    summary: 'Forget a host; refused while a run of a VM there is open.',
  }),
  confirmHostDead: route({
    name: 'confirmHostDead',
    method: 'POST',
    path: '/v1/hosts/:host/confirm-dead',
    request: host.ConfirmDeadRequest,
    response: host.ConfirmDeadView,
    roles: operators,
    summary:
      'A person states that the host is dead; refused while it showed a sign of life lately.',
  }),
  verifyHostPower: route({
    name: 'verifyHostPower',
    method: 'POST',
    path: '/v1/hosts/:host/power/verify',
    request: host.HostReasonRequest,
    response: host.PowerVerifiedView,
    roles: admins,
    summary: 'Switch an empty host off, read it back, on: proves device and host belong together.',
  }),
} as const;
