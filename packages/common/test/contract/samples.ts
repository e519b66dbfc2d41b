import type { agentRoutes, CallerRole, Route } from '@fenceline/protocol';
import { readySamples } from './readySamples.js';

/** One route's example: every field set, to something else than its default. */
export interface Sample<Req, R> {
  request: Req;
  response: R;
  /** Fields that break a rule, and the name that the answer must give. */
  bad: readonly { fields: object; names: string }[];
  /** A role that may not call it. */
  wrongRole: CallerRole;
}

/** A sample for each route of a table; a route without one does not compile. */
export type Samples<Table> = {
  [Name in keyof Table]: Table[Name] extends Route<infer Req, infer R> ? Sample<Req, R> : never;
};

const VM = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
const HOST = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb';
const SIBLING = 'cccccccc-cccc-4ccc-8ccc-cccccccccccc';
const SERVER = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd';
const BOOT = 'eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee';
const KEY = `ssh-ed25519 ${'A'.repeat(68)}`;
const X25519 = `${'A'.repeat(43)}=`;
const error = {
  code: 'INTERNAL',
  message: 'half of it',
  facts: { n: 1, s: 'x', b: true, z: null },
};

const target = {
  targetHostUuid: HOST,
  targetHostIp: '192.0.2.11',
  targetAddresses: ['192.0.2.11', '2001:db8::11', 'h1.example.org'],
  targetAgentPort: 7_071,
  targetHostKeys: [KEY],
  controls: [{ hostUuid: SIBLING, addresses: ['192.0.2.13'], agentPort: 7_072, sshPort: 2_222 }],
  targetHostSshPort: 2_223,
  targetHostUsername: 'fence',
  sshTimeoutSec: 9,
  connectTimeoutMs: 1_234,
  killGraceMs: 77,
  orderToken: '1'.repeat(32),
  spareOrderTokens: ['a0'.repeat(16), 'b1'.repeat(16)],
  lookOnly: true,
  taskId: 'task-1',
  credential: { keyId: SIBLING, publicKey: X25519, box: 'A'.repeat(64) },
};
const disks = [
  { kind: 'file' as const, source: '/srv/a b/ü.img' },
  { kind: 'rbd' as const, source: 'pool/image' },
];
const found = {
  killed: [
    { pid: 4_711, startTime: 123_456, epoch: 4 },
    { pid: 4_712, startTime: 123_457, epoch: null },
  ],
  disks: [{ source: '/srv/a b/ü.img', drained: 'direct' as const }],
  otherWriters: [{ pid: 99, comm: 'qemu-img', source: 'pool/image' }],
  barrier: 'disk' as const,
  detail: 'one process was killed',
};
const answered = {
  success: true,
  error,
  hostUuid: HOST,
  bootId: BOOT,
  pidNamespace: 'pid:[4026531836]',
  stages: [
    { name: 'connect' as const, ms: 3 },
    { name: 'verify' as const, ms: 120 },
  ],
  stdoutBytes: 400,
  stderrBytes: 1,
  outputSha256: 'f'.repeat(64),
};
const dead = { qemuConfirmedDead: true, qemuStillAlive: false, targetHostUnreachable: false };
const vmSeen = {
  vmUuid: VM,
  name: 'web1',
  state: 'Running' as const,
  epoch: 4,
  pid: 4_711,
  startTime: 123_456,
  knownToLibvirt: true,
  hasProcess: true,
};

/** The one sample table of the agent's routes. */
export const agentSamples: Samples<typeof agentRoutes> = {
  fenceVm: {
    request: { ...target, vmUuid: VM, fenceEpoch: 4, disks },
    response: {
      ...answered,
      ...found,
      ...dead,
      vmUuid: VM,
      outcome: 'confirmedDead',
      unusedOrderTokens: [2],
    },
    bad: [
      { fields: { vmUuid: 'web1' }, names: 'vmUuid' },
      { fields: { fenceEpoch: -1 }, names: 'fenceEpoch' },
      { fields: { targetHostIp: '-oProxyCommand=id' }, names: 'targetHostIp' },
      { fields: { controls: [{ hostUuid: HOST }] }, names: 'controls.0.addresses' },
      { fields: { sshTimeoutSec: '20' }, names: 'sshTimeoutSec' },
      { fields: { orderToken: 'A'.repeat(32) }, names: 'orderToken' },
      { fields: { spareOrderTokens: ['../x'] }, names: 'spareOrderTokens' },
      { fields: { spareOrderTokens: Array(3).fill('a0'.repeat(16)) }, names: 'spareOrderTokens' },
      { fields: { lookOnly: 'yes' }, names: 'lookOnly' },
    ],
    wrongRole: 'sibling',
  },
  fenceVms: {
    request: { ...target, vms: [{ vmUuid: VM, fenceEpoch: 4, disks }] },
    response: {
      ...answered,
      unusedOrderTokens: [0, 1],
      verdicts: [{ ...found, ...dead, vmUuid: VM, outcome: 'nothingFound' }],
    },
    bad: [
      { fields: { vms: [] }, names: 'vms' },
      { fields: { vms: [{ vmUuid: VM, disks }] }, names: 'vms.0.fenceEpoch' },
    ],
    wrongRole: 'sibling',
  },
  connect: {
    request: {
      hostUuid: HOST,
      serverUuid: SERVER,
      serverVersion: '9.9.9',
      siblings: [{ hostUuid: SIBLING, addresses: ['192.0.2.13'], fencePublicKey: KEY }],
      runs: [{ vmUuid: VM, epoch: 4 }],
      orderTokens: true,
    },
    response: {
      success: true,
      error,
      agentInstance: 'instance-1',
      agentVersion: '9.9.9',
      bootId: BOOT,
      fencePublicKey: KEY,
      sshHostKeys: [KEY],
      addresses: ['192.0.2.11'],
      seeded: false,
      doorPort: 7_171,
    },
    bad: [
      {
        fields: { siblings: [{ hostUuid: SIBLING, addresses: [], fencePublicKey: 'x' }] },
        names: 'siblings.0.fencePublicKey',
      },
      { fields: { hostUuid: 7 }, names: 'hostUuid' },
    ],
    wrongRole: 'sibling',
  },
  ...readySamples,
  echo: {
    request: { nonce: 'n-1' },
    response: { success: true, error, nonce: 'n-1', hostUuid: HOST },
    bad: [{ fields: { nonce: 'x'.repeat(129) }, names: 'nonce' }],
    wrongRole: 'viewer',
  },
  ping: {
    request: {},
    response: {
      success: true,
      error,
      agentInstance: 'instance-1',
      agentVersion: '9.9.9',
      protocolVersion: 3,
      bootId: BOOT,
      hostUuid: HOST,
    },
    bad: [],
    wrongRole: 'sibling',
  },
  facts: {
    request: {},
    response: {
      success: true,
      error,
      hostname: 'h1',
      bootId: BOOT,
      pidNamespace: 'pid:[4026531836]',
      libvirtVersion: '9.0.0',
      qemuVersion: '7.2.0',
      cpuModel: 'EPYC',
      cpuVirtualization: true,
      kvmDevice: true,
      addresses: ['192.0.2.11'],
      sshHostKeys: [KEY],
    },
    bad: [],
    wrongRole: 'sibling',
  },
  capacity: {
    request: {},
    response: { success: true, error, cpus: 8, memoryMiB: 65_536, memoryAvailableMiB: 1 },
    bad: [],
    wrongRole: 'sibling',
  },
  scanHost: {
    request: {
      targetHostUuid: HOST,
      targetAddresses: ['192.0.2.11'],
      targetAgentPort: 7_071,
      targetHostSshPort: 2_222,
      timeoutMs: 500,
      attempts: 3,
    },
    response: {
      success: true,
      error,
      level: 'kernel',
      unstable: true,
      signsOfLife: ['tcp:22 refused', 'icmp'],
    },
    bad: [
      { fields: { targetAddresses: ['$(id)'] }, names: 'targetAddresses' },
      { fields: { attempts: 0 }, names: 'attempts' },
    ],
    wrongRole: 'viewer',
  },
  vmSync: {
    request: {},
    response: {
      success: true,
      error,
      vms: [vmSeen, { ...vmSeen, epoch: null, pid: null, startTime: null, state: 'Stopped' }],
      libvirtAnswered: true,
      bootId: BOOT,
      unattributed: 2,
    },
    bad: [],
    wrongRole: 'sibling',
  },
  vmStart: {
    request: {
      vmUuid: VM,
      epoch: 5,
      bootId: BOOT,
      domainXml: '<domain>ü &amp; "q"\n</domain>',
      closedRuns: [{ epoch: 4, proofDigest: 'a'.repeat(64) }],
      startTimeoutMs: 5_000,
      taskId: 'task-1',
    },
    response: { success: true, error, state: 'Running', epoch: 5, pid: 4_711, startTime: 123_456 },
    bad: [
      { fields: { closedRuns: undefined }, names: 'closedRuns' },
      { fields: { closedRuns: [null] }, names: 'closedRuns' },
      { fields: { epoch: 1.5 }, names: 'epoch' },
    ],
    wrongRole: 'sibling',
  },
  vmDestroy: {
    request: {
      vmUuid: VM,
      fenceEpoch: 4,
      disks,
      purpose: 'stop',
      gracefulMs: 1_000,
      timeoutMs: 9_000,
      killGraceMs: 77,
      taskId: 'task-1',
    },
    response: {
      ...answered,
      verdict: { ...found, ...dead, vmUuid: VM, outcome: 'confirmedDead' },
      highestBegan: 4,
      beganKnown: true,
    },
    bad: [
      { fields: { disks: undefined }, names: 'disks' },
      { fields: { purpose: 'tidy' }, names: 'purpose' },
    ],
    wrongRole: 'sibling',
  },
  vmStatus: {
    request: { vmUuid: VM },
    response: { success: true, error, vm: vmSeen, highestBegan: 4, barrierEpoch: 3, bootId: BOOT },
    bad: [{ fields: { vmUuid: null }, names: 'vmUuid' }],
    wrongRole: 'sibling',
  },
  vmDomain: {
    request: { vmUuid: VM },
    response: {
      success: true,
      error,
      name: 'web1',
      memoryMiB: 512,
      cpus: 2,
      disks,
      domainXml: '<domain/>',
    },
    bad: [{ fields: { vmUuid: 'x y/z' }, names: 'vmUuid' }],
    wrongRole: 'sibling',
  },
};
