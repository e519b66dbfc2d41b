import type { apiRoutes, Route } from '@fenceline/protocol';
import { ids } from './seed.js';

type Table = typeof apiRoutes;
type RequestOf<R> = R extends Route<infer Req, infer _Rsp> ? Req : never;
type AnswerOf<R> = R extends Route<infer _Req, infer Rsp> ? Rsp : never;

interface Sample<R> {
  request: RequestOf<R>;
  /** What the answer must say at least. */
  answer: Partial<Record<keyof AnswerOf<R>, unknown>>;
  /** What must have been asked of the other domains. */
  asks?: { what: string; [fact: string]: unknown };
}

const reason = 'a test';

/** One sample for each route of the API: a new route without one does not compile. */
export const samples: { [Name in keyof Table]: Sample<Table[Name]> } = {
  listClusters: { request: {}, answer: { items: [{ name: 'default' }] } },
  createCluster: { request: { name: 'east' }, answer: { name: 'east' } },
  listHosts: { request: { limit: 1 }, answer: { items: [{ uuid: ids.h1, openRuns: 1 }] } },
  showHost: {
    request: { host: 'h1' },
    answer: {
      uuid: ids.h1,
      powerDevice: { agent: 'fence_ipmilan' },
      orderTokens: 16,
      canBeFencedBy: [
        { name: 'h3', line: 'standing', roundTripMs: 1.5 },
        { name: 'h2', line: null, roundTripMs: null },
      ],
    },
  },
  addHost: {
    request: {
      name: 'h9',
      addresses: ['192.0.2.19'],
      agentPort: 7070,
      sshPort: 22,
      sshUsername: 'root',
      powerDevice: { agent: 'fence_ipmilan', parameters: { password: 'canary-new-device' } },
    },
    answer: { name: 'h9' },
    asks: { what: 'add', name: 'h9', clusterUuid: ids.cluster },
  },
  reconnectHost: {
    request: { host: ids.h2 },
    answer: { uuid: ids.h2 },
    asks: { what: 'reconnect', hostUuid: ids.h2 },
  },
  enableHost: {
    request: { host: 'h2', reason },
    answer: { uuid: ids.h2 },
    asks: { what: 'setState', hostUuid: ids.h2, state: 'Enabled' },
  },
  disableHost: {
    request: { host: 'h2', reason },
    answer: { uuid: ids.h2 },
    asks: { what: 'setState', hostUuid: ids.h2, state: 'Disabled' },
  },
  removeHost: {
    request: { host: 'h3', reason },
    answer: { uuid: ids.h3 },
    asks: { what: 'remove', hostUuid: ids.h3 },
  },
  confirmHostDead: {
    request: { host: 'h2', typedName: 'h2', reason },
    answer: { hostUuid: ids.h2, vmUuids: [ids.web1] },
    asks: { what: 'confirmDead', hostUuid: ids.h2, reason },
  },
  verifyHostPower: {
    request: { host: 'h1' },
    answer: { hostUuid: ids.h1, verifiedAt: '2026-01-02T00:00:00.000Z' },
    asks: { what: 'verifyPower', hostUuid: ids.h1 },
  },
  listVms: {
    request: { level: 'onHostFailure' },
    answer: { items: [{ name: 'web1', protected: true, proofs: ['peer', 'power'] }] },
  },
  showVm: {
    request: { vm: ids.web1.replaceAll('-', '') },
    answer: { name: 'web1', openTaskUuid: ids.task, runs: [{ epoch: 3 }, { epoch: 2 }] },
  },
  importVm: {
    request: { host: 'h2', vm: 'new1' },
    answer: { name: 'new1' },
    asks: { what: 'importVm', hostUuid: ids.h2, vm: 'new1' },
  },
  protectVm: {
    request: { vm: 'web1', level: 'neverStop', priority: 'high' },
    answer: { uuid: ids.web1 },
    asks: { what: 'protect', vmUuid: ids.web1, level: 'neverStop', priority: 'high' },
  },
  startVm: {
    request: { vm: 'db1', host: 'h3' },
    answer: { vmUuid: ids.db1, taskUuid: null },
    asks: { what: 'start', vmUuid: ids.db1, hostUuid: ids.h3 },
  },
  stopVm: {
    request: { vm: 'db1', graceful: true },
    answer: { vmUuid: ids.db1 },
    asks: { what: 'stop', vmUuid: ids.db1, graceful: true },
  },
  haStartVm: {
    request: { vm: 'web1', reason },
    answer: { taskUuid: ids.task },
    asks: { what: 'haStart', vmUuid: ids.web1, reason },
  },
  listTasks: {
    request: { open: true },
    answer: { items: [{ uuid: ids.task, waysOut: ['fenceline host confirm-dead h2'] }] },
  },
  showTask: {
    request: { taskUuid: ids.endedTask },
    answer: {
      steps: [{ name: 'ha-pre-fence-vm', durationMs: 1_000 }],
      proofs: [{ kind: 'peerConfirmedDead', hostName: 'h2' }],
      attempts: [{ success: true, destinationHostName: 'h1' }],
    },
  },
  listTaskProofs: {
    request: { taskUuid: ids.endedTask },
    answer: { items: [{ uuid: ids.proof, facts: { outcome: 'confirmedDead' } }] },
  },
  retryTask: {
    request: { taskUuid: ids.task },
    answer: { uuid: ids.task },
    asks: { what: 'retry', taskUuid: ids.task },
  },
  abandonTask: {
    request: { taskUuid: ids.task, reason },
    answer: { uuid: ids.task },
    asks: { what: 'abandon', taskUuid: ids.task, reason },
  },
  listHistory: { request: { success: true }, answer: { items: [{ uuid: ids.attempt }] } },
  status: {
    request: {},
    answer: { haMode: 'active', openTasks: [{ uuid: ids.task }] },
  },
  readiness: {
    request: {},
    answer: { hosts: [{ name: 'h1', powerDevice: 'verified' }, { name: 'h2' }, { name: 'h3' }] },
  },
  listEvents: { request: { limit: 5, severity: 'info' }, answer: { items: [] } },
  listSettings: { request: {}, answer: {} },
  showSetting: {
    request: { name: 'ha.preFence.sshTimeoutSec' },
    answer: { value: 20, default: 20, unit: 's', min: 1, max: 300, overridden: false },
  },
  putSetting: {
    request: { name: 'ha.preFence.sshTimeoutSec', value: 30, reason },
    answer: { value: 30, default: 20, overridden: true, changedBy: 'ada' },
  },
  listNodes: { request: {}, answer: { items: [{ ownerEpoch: 1, self: true }] } },
  listTokens: {
    request: {},
    answer: { items: [{ name: 'ada' }, { name: 'otto' }, { name: 'vera' }] },
  },
  createToken: { request: { name: 'ci', role: 'viewer' }, answer: { name: 'ci', role: 'viewer' } },
  revokeToken: { request: { token: 'vera' }, answer: {} },
  listAudit: { request: { action: 'host' }, answer: { items: [] } },
};
