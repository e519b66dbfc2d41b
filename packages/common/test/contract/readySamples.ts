import type { agentRoutes } from '@fenceline/protocol';
import type { Samples } from './samples.js';

const HOST = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb';
const SIBLING = 'cccccccc-cccc-4ccc-8ccc-cccccccccccc';
const KEY = `ssh-ed25519 ${'A'.repeat(68)}`;
const error = {
  code: 'INTERNAL',
  message: 'half of it',
  facts: { n: 1, s: 'x', b: true, z: null },
};

/** Samples of the routes by which hosts get ready to fence each other. */
export const readySamples: Pick<Samples<typeof agentRoutes>, 'fenceLines' | 'orderTokens'> = {
  fenceLines: {
    request: {
      neighbours: [
        {
          hostUuid: SIBLING,
          addresses: ['192.0.2.13', '2001:db8::13'],
          sshPort: 2_224,
          username: 'fence',
          hostKeys: [KEY],
        },
      ],
    },
    response: {
      success: true,
      error,
      lines: [
        { hostUuid: SIBLING, state: 'standing', forMs: 12_345, roundTripMs: 1.25 },
        { hostUuid: HOST, state: 'broken', forMs: 7, nextTryInMs: 900, why: 'no answer' },
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
