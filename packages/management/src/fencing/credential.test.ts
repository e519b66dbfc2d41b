import { expect, test } from '@jest/globals';
import { newSealKey, sealFor, Secret } from '@fenceline/common';
import { recordingLogger } from '@fenceline/common/testing';
import { credentialContext, ok, CredentialKeyRsp, RemoteError } from '@fenceline/protocol';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostInfo } from '../hosts/contracts.js';
import { credentialFor, type CredentialDeps } from './credential.js';

const [PEER, SUSPECT] = [
  '0a000000-0000-4000-8000-000000000002',
  '0a000000-0000-4000-8000-000000000001',
];
const host = (uuid: string): HostInfo =>
  ({ uuid, addresses: ['192.0.2.1'], agentPort: 7_070 }) as unknown as HostInfo;
const CANARY = 'canary-of-the-credential';
const KEY_ID = '0a000000-0000-4000-8000-0000000000ff';

function gatewayWith(answer: () => object): AgentGateway {
  return { call: async () => answer() } as unknown as AgentGateway;
}

const logins = (text: () => Secret | undefined): CredentialDeps['logins'] => ({
  has: async () => text() !== undefined,
  sealedFor: async (_hostUuid, { publicKey, context }) =>
    sealFor(publicKey, text() ?? new Secret(''), context),
});

test('F30: the login is sealed for this peer, about this suspect, and nobody else', async () => {
  const key = newSealKey();
  const { log, lines } = recordingLogger();
  const gateway = gatewayWith(() =>
    ok(CredentialKeyRsp, { keyId: KEY_ID, publicKey: key.publicKey, expiresInMs: 1 }),
  );
  const deps = { gateway, logins: logins(() => new Secret(CANARY)) };
  const sealed = await credentialFor(deps, { peer: host(PEER), suspect: host(SUSPECT), log });
  if (sealed === undefined) throw new Error('nothing was sealed');
  expect(JSON.stringify(sealed)).not.toContain(CANARY);
  const about = { keyId: KEY_ID, peerUuid: PEER, targetHostUuid: SUSPECT };
  expect(key.open(sealed, credentialContext(about)).reveal()).toBe(CANARY);
  for (const other of [{ peerUuid: SUSPECT }, { targetHostUuid: PEER }, { keyId: PEER }])
    expect(() => key.open(sealed, credentialContext({ ...about, ...other }))).toThrow();
  expect(lines).toEqual([]);
});

test.each<[string, () => Secret | undefined, number]>([
  ['no login is stored', () => undefined, 0],
  [
    'the stored login can not be opened',
    () => {
      throw new Error("can't be opened");
    },
    1,
  ],
])(
  'F30: without a credential the call goes on with the peer’s own key: %s',
  async (_why, text, warnings) => {
    const { log, lines } = recordingLogger();
    const gateway = gatewayWith(() => {
      throw new Error('nobody is to be asked');
    });
    const call = { peer: host(PEER), suspect: host(SUSPECT), log };
    expect(await credentialFor({ gateway, logins: logins(text) }, call)).toBeUndefined();
    expect(lines).toHaveLength(warnings);
  },
);

test('F30, F28: an older peer gets none; nothing of the login is logged', async () => {
  const { log, lines } = recordingLogger();
  const gateway = gatewayWith(() => {
    throw new RemoteError(404, { code: 'NO_SUCH_ROUTE', message: 'no such route' });
  });
  const deps = { gateway, logins: logins(() => new Secret(CANARY)) };
  const call = { peer: host(PEER), suspect: host(SUSPECT), log };
  expect(await credentialFor(deps, call)).toBeUndefined();
  expect(lines).toHaveLength(1);
  expect(JSON.stringify(lines)).not.toContain(CANARY);
});
