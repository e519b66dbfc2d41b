import {
  FenceVmFromPeerCmd,
  FenceVmFromPeerRsp,
  FenceVmsFromPeerCmd,
  FenceVmsFromPeerRsp,
} from './fence.js';
import * as line from './fenceLine.js';
import * as host from './host.js';
import { Nothing, route, streamRoute } from './route.js';
import * as vm from './vm.js';
import { WatchCmd, WatchItem } from './watch.js';

const server = ['server'] as const;
/** What a sibling needs, and no more. */
const siblings = ['server', 'sibling'] as const;

/** Every route of the agent, stated once. */
export const agentRoutes = {
  fenceVm: route({
    name: 'fenceVm',
    method: 'POST',
    path: '/ha/fence/vm/from/peer',
    request: FenceVmFromPeerCmd,
    response: FenceVmFromPeerRsp,
    roles: server,
    summary: 'Log in to the suspect, kill what is left of one VM there, verify, answer a verdict.',
  }),
  fenceVms: route({
    name: 'fenceVms',
    method: 'POST',
    path: '/ha/fence/vms/from/peer',
    request: FenceVmsFromPeerCmd,
    response: FenceVmsFromPeerRsp,
    roles: server,
    summary: 'The same for up to 500 VMs of one suspect in one session, a verdict for each.',
  }),
  connect: route({
    name: 'connect',
    method: 'POST',
    path: '/host/connect',
    request: host.ConnectHostCmd,
    response: host.ConnectHostRsp,
    roles: server,
    summary: 'Make the host part of its cluster: identity, fence keys of its siblings.',
  }),
  fenceLines: route({
    name: 'fenceLines',
    method: 'POST',
    path: '/host/fence/lines',
    request: line.FenceLinesCmd,
    response: line.FenceLinesRsp,
    roles: server,
    summary: 'Keep a standing fence line to exactly these neighbours.',
  }),
  orderTokens: route({
    name: 'orderTokens',
    method: 'POST',
    path: '/host/fence/tokens',
    request: line.OrderTokensCmd,
    response: line.OrderTokensRsp,
    roles: server,
    summary: 'Deposit one-time order tokens: each lets one order of a sibling through.',
  }),
  echo: route({
    name: 'echo',
    method: 'POST',
    path: '/host/echo',
    request: host.EchoCmd,
    response: host.EchoRsp,
    roles: siblings,
    summary: 'Answer with the same nonce: an agent lives here.',
  }),
  ping: route({
    name: 'ping',
    method: 'POST',
    path: '/host/ping',
    request: host.PingCmd,
    response: host.PingRsp,
    roles: server,
    summary: 'Agent instance, version and boot id.',
  }),
  facts: route({
    name: 'facts',
    method: 'POST',
    path: '/host/facts',
    request: host.FactsCmd,
    response: host.FactsRsp,
    roles: server,
    summary: 'What the host is: versions, CPU, addresses, host keys.',
  }),
  capacity: route({
    name: 'capacity',
    method: 'POST',
    path: '/host/capacity',
    request: host.CapacityCmd,
    response: host.CapacityRsp,
    roles: server,
    summary: 'CPUs and memory.',
  }),
  scanHost: route({
    name: 'scanHost',
    method: 'POST',
    path: '/ha/scanhost',
    request: host.ScanHostCmd,
    response: host.ScanHostRsp,
    roles: siblings,
    summary: 'What this host can see of a suspect.',
  }),
  vmSync: route({
    name: 'vmSync',
    method: 'POST',
    path: '/vm/sync',
    request: vm.VmSyncCmd,
    response: vm.VmSyncRsp,
    roles: server,
    summary: 'Every VM that libvirt or the process table knows.',
  }),
  vmStart: route({
    name: 'vmStart',
    method: 'POST',
    path: '/vm/start',
    request: vm.StartVmCmd,
    response: vm.StartVmRsp,
    roles: server,
    summary: 'Start one run of a VM with its epoch, at most once.',
  }),
  vmDestroy: route({
    name: 'vmDestroy',
    method: 'POST',
    path: '/vm/destroy',
    request: vm.DestroyVmCmd,
    response: vm.DestroyVmRsp,
    roles: server,
    summary: 'Stop or kill a VM on this host, verified, behind a barrier.',
  }),
  vmStatus: route({
    name: 'vmStatus',
    method: 'POST',
    path: '/vm/status',
    request: vm.VmStatusCmd,
    response: vm.VmStatusRsp,
    roles: server,
    summary: 'One VM as this host sees it now.',
  }),
  vmDomain: route({
    name: 'vmDomain',
    method: 'GET',
    path: '/vm/:vmUuid/domain',
    request: vm.VmDomainCmd,
    response: vm.VmDomainRsp,
    roles: server,
    summary: 'The stored definition of a VM, for import.',
  }),
} as const;

/** Streams of the agent. */
export const agentStreams = {
  watch: streamRoute({
    name: 'watch',
    method: 'GET',
    path: '/host/watch',
    request: WatchCmd,
    item: WatchItem,
    roles: server,
    summary: 'Heartbeats and VM events, newline-delimited JSON.',
  }),
} as const;

export { Nothing };
