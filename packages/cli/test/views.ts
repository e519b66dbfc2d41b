import type {
  HostView,
  StatusView,
  TaskStoryView,
  TaskView,
  VmDetailView,
  VmView,
} from '@fenceline/protocol';

/** The same with other values in some fields. */
export function but<T extends object, More extends object>(base: T, changes: More): T & More {
  return Object.assign({}, base, changes);
}

export const AT = '2026-01-01T00:00:10.000Z';
export const BEFORE = '2026-01-01T00:00:00.000Z';
const id = (last: string): string => `00000000-0000-4000-8000-${last.padStart(12, '0')}`;

export const taskUuid = id('b1');

export const host: HostView = {
  uuid: id('1'),
  name: 'h1',
  clusterUuid: id('c1'),
  clusterName: 'default',
  hypervisor: 'KVM',
  addresses: ['192.0.2.11'],
  agentPort: 7070,
  sshPort: 22,
  sshUsername: 'root',
  status: 'Connected',
  state: 'Enabled',
  liveness: 'online',
  livenessReason: '',
  reconnectsEnded: 0,
  connectFailure: null,
  hookWorking: true,
  hookWhy: '',
  quarantinedUntil: null,
  bootId: 'boot-1',
  agentVersion: '0.1.0',
  cpus: 8,
  memoryMiB: 16_384,
  lastSignOfLifeAt: '2026-01-01T00:00:09.500Z',
  powerDevice: { agent: 'fence_ipmilan', verifiedAt: BEFORE },
  canBeFencedBy: [
    { uuid: id('2'), name: 'h2', line: 'standing', ways: ['ssh'], roundTripMs: 1.5 },
    { uuid: id('3'), name: 'h3', line: null, ways: [], roundTripMs: null },
  ],
  noFenceLineSince: null,
  powerUnresolvedSince: null,
  orderTokens: 16,
  login: null,
  powerLevels: [
    { level: 1, verified: true, devices: [{ agent: 'fence_ipmilan', verifiedAt: BEFORE }] },
  ],
  openRuns: 1,
  createdAt: BEFORE,
};

export const suspect: HostView = but(host, {
  uuid: id('2'),
  name: 'h2',
  status: 'Disconnected',
  liveness: 'suspect',
  livenessReason: 'silent for 5 s',
  lastSignOfLifeAt: '2026-01-01T00:00:05.000Z',
  powerDevice: null,
  powerLevels: [],
});

export const vm: VmView = {
  uuid: id('a1'),
  name: 'web1',
  clusterUuid: host.clusterUuid,
  hypervisor: 'KVM',
  state: 'Running',
  hostUuid: host.uuid,
  hostName: 'h1',
  lastHostUuid: null,
  memoryMiB: 512,
  cpus: 1,
  level: 'neverStop',
  priority: 'high',
  stoppedByPerson: false,
  epoch: 3,
  protected: true,
  protection: 'if h1 vanished: peer, power',
  proofs: ['peer', 'power'],
  openTaskUuid: null,
  createdAt: BEFORE,
};

export const vmDetail: VmDetailView = but<VmView, Pick<VmDetailView, 'disks' | 'runs'>>(vm, {
  disks: [{ kind: 'file', source: '/vms/web1.img' }],
  runs: [
    {
      epoch: 3,
      hostUuid: host.uuid,
      hostName: 'h1',
      bootId: 'boot-1',
      state: 'running',
      openedAt: BEFORE,
      closedAt: null,
      proofUuid: null,
      proofKind: null,
    },
  ],
});

export const task: TaskView = {
  uuid: taskUuid,
  vmUuid: vm.uuid,
  vmName: 'web1',
  reason: 'h2 is silent',
  judger: 'host-failure',
  state: 'waiting',
  attempt: 1,
  waitsFor: 'no proof that the run on h2 is over',
  waitsSince: '2026-01-01T00:00:04.000Z',
  waysOut: ['fenceline host confirm-dead h2', `fenceline task retry ${taskUuid}`],
  nextTryAt: '2026-01-01T00:02:10.000Z',
  destinationHostUuid: null,
  destinationHostName: null,
  ownerUuid: id('f1'),
  taskToken: 1,
  createdAt: BEFORE,
  endedAt: null,
};

export const story: TaskStoryView = but<
  TaskView,
  Pick<TaskStoryView, 'steps' | 'proofs' | 'attempts'>
>(task, {
  steps: [
    {
      attempt: 1,
      name: 'ha-pre-fence-vm',
      result: 'failed',
      startedAt: '2026-01-01T00:00:01.000Z',
      endedAt: '2026-01-01T00:00:04.000Z',
      durationMs: 3_000,
      detail: { peers: 2, outcome: 'unreachable' },
    },
  ],
  proofs: [
    {
      sequence: 1,
      uuid: id('d1'),
      taskUuid,
      kind: 'powerOff',
      vmUuid: vm.uuid,
      epoch: 2,
      hostUuid: suspect.uuid,
      hostName: 'h2',
      bootId: 'boot-1',
      source: 'power:fence_ipmilan',
      facts: { readBack: 'off' },
      createdAt: '2026-01-01T00:00:03.000Z',
      expiresAt: null,
      usedAt: null,
      voidedReason: null,
      previousDigest: '',
      digest: 'abcdef0123456789',
    },
  ],
  attempts: [],
});

export const status: StatusView = {
  at: AT,
  serverVersion: '0.1.0',
  haMode: 'active',
  clusters: [
    {
      cluster: { uuid: host.clusterUuid, name: 'default', createdAt: BEFORE },
      hosts: [host, suspect],
      vms: [
        vm,
        but(vm, {
          name: 'db1',
          level: 'onHostFailure',
          hostName: 'h2',
          state: 'Unknown',
          protected: false,
          protection: 'nothing could prove h2 dead',
          proofs: [],
        }),
      ],
    },
  ],
  openTasks: [task],
  alarms: [
    {
      severity: 'critical',
      kind: 'host.suspect',
      text: 'h2 is suspect: silent for 5 s',
      hostUuid: suspect.uuid,
      vmUuid: null,
      taskUuid: null,
    },
  ],
};
