import type { agentRoutes } from '@fenceline/protocol';
import type { Samples } from './samples.js';

const HOST = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb';
const SIBLING = 'cccccccc-cccc-4ccc-8ccc-cccccccccccc';
const VM = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
const X25519 = `${'A'.repeat(43)}=`;
const KEY = `ssh-ed25519 ${'A'.repeat(68)}`;
const error = {
  code: 'INTERNAL',
  message: 'half of it',
  facts: { n: 1, s: 'x', b: true, z: null },
};

const disks = [
  { kind: 'file' as const, source: '/srv/a b/ü.img' },
  { kind: 'rbd' as const, source: 'pool/image' },
];

/** Samples of the routes by which hosts get ready to fence each other. */
export const readySamples: Pick<
  Samples<typeof agentRoutes>,
  'credentialKey' | 'fenceKey' | 'fenceLines' | 'orderTokens' | 'protect'
> = {
  credentialKey: {
    request: { targetHostUuid: HOST },
    response: { success: true, error, keyId: VM, publicKey: X25519, expiresInMs: 60_000 },
    bad: [{ fields: { targetHostUuid: 'h1' }, names: 'targetHostUuid' }],
    wrongRole: 'sibling',
  },
  fenceKey: {
    request: { step: 'switch', fencePublicKey: KEY },
    response: { success: true, error, fencePublicKey: KEY, nextFencePublicKey: KEY },
    bad: [
      { fields: { step: 'forget' }, names: 'step' },
      { fields: { fencePublicKey: `${KEY}\n${KEY}` }, names: 'fencePublicKey' },
    ],
    wrongRole: 'sibling',
  },
  fenceLines: {
    request: {
      neighbours: [
        {
          hostUuid: SIBLING,
          addresses: ['192.0.2.13', '2001:db8::13'],
          sshPort: 2_224,
          username: 'fence',
          hostKeys: [KEY],
          doorPort: 7_171,
        },
      ],
    },
    response: {
      success: true,
      error,
      lines: [
        { hostUuid: SIBLING, way: 'ssh', state: 'standing', forMs: 12_345, roundTripMs: 1.25 },
        { hostUuid: HOST, way: 'door', state: 'broken', forMs: 7, nextTryInMs: 900, why: 'no' },
      ],
    },
    bad: [
      { fields: { neighbours: undefined }, names: 'neighbours' },
      {
        fields: { neighbours: [{ hostUuid: SIBLING, addresses: ['192.0.2.13'], hostKeys: [] }] },
        names: 'neighbours.0.hostKeys',
      },
      {
        fields: { neighbours: [{ hostUuid: SIBLING, addresses: ['$(id)'], hostKeys: [KEY] }] },
        names: 'neighbours.0.addresses',
      },
    ],
    wrongRole: 'sibling',
  },
  protect: {
    request: { vms: [{ vmUuid: VM, disks }] },
    response: {
      success: true,
      error,
      hook: { working: true, checkedAgeMs: 12, protectedVms: 1, why: 'one sentence' },
    },
    bad: [
      { fields: { vms: undefined }, names: 'vms' },
      { fields: { vms: [{ vmUuid: VM }] }, names: 'vms.0.disks' },
      { fields: { vms: [{ vmUuid: 'web1', disks }] }, names: 'vms.0.vmUuid' },
    ],
    wrongRole: 'sibling',
  },
  orderTokens: {
    request: { tokens: ['0123456789abcdef'.repeat(2)], replace: true },
    response: { success: true, error, held: 16 },
    bad: [
      { fields: { tokens: ['../../etc/passwd'] }, names: 'tokens' },
      { fields: { tokens: ['0123456789ABCDEF'.repeat(2)] }, names: 'tokens' },
      { fields: { tokens: Array(65).fill('0123456789abcdef'.repeat(2)) }, names: 'tokens' },
      { fields: { replace: undefined }, names: 'replace' },
    ],
    wrongRole: 'sibling',
  },
};
