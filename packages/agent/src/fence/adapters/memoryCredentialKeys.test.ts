import { expect, test } from '@jest/globals';
import { Secret, sealFor } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { CREDENTIAL_LIFE_MS, credentialContext, type SealedCredential } from '@fenceline/protocol';
import type { CredentialKeys } from '../credentialKeys.js';
import { memoryCredentialKeys } from './memoryCredentialKeys.js';

const [ME, OTHER] = [
  '0a000000-0000-4000-8000-000000000002',
  '0a000000-0000-4000-8000-000000000003',
];
const SUSPECT = '0a000000-0000-4000-8000-000000000001';
const CANARY = 'canary of a password';
const LOGIN = JSON.stringify({ kind: 'password', password: CANARY });

const clock = new VirtualClock();
const agent = (uuid = ME): CredentialKeys =>
  memoryCredentialKeys({ clock, random: seededRandom(7), hostUuid: async () => uuid });

async function sealed(
  keys: CredentialKeys,
  text = LOGIN,
  about: { peerUuid?: string; targetHostUuid?: string } = {},
): Promise<SealedCredential> {
  const { keyId, publicKey } = await keys.newKey(SUSPECT);
  const context = credentialContext({ keyId, peerUuid: ME, targetHostUuid: SUSPECT, ...about });
  return { keyId, ...sealFor(publicKey, new Secret(text), context) };
}

const refusal = (why: RegExp) => ({ code: 'REFUSED', message: expect.stringMatching(why) });

test('F30: a credential opens once; a replay finds no key', async () => {
  const keys = agent();
  const credential = await sealed(keys);
  expect(await keys.open(credential, SUSPECT.replaceAll('-', ''))).toEqual({
    kind: 'password',
    password: CANARY,
  });
  await expect(keys.open(credential, SUSPECT)).rejects.toMatchObject(refusal(/used, has expired/));
});

test('F30: it expires on the peer’s own clock', async () => {
  const keys = agent();
  const credential = await sealed(keys);
  await clock.advance(CREDENTIAL_LIFE_MS);
  await expect(keys.open(credential, SUSPECT)).rejects.toMatchObject(refusal(/expired/));
});

test('F30: another peer can not open it, nor this one for another suspect', async () => {
  const [mine, other] = [agent(), agent(OTHER)];
  await expect(other.open(await sealed(mine), SUSPECT)).rejects.toMatchObject(
    refusal(/not of this host/),
  );
  await expect(mine.open(await sealed(mine), OTHER)).rejects.toMatchObject(refusal(/another host/));
  for (const about of [{ peerUuid: OTHER }, { targetHostUuid: OTHER }])
    await expect(mine.open(await sealed(mine, LOGIN, about), SUSPECT)).rejects.toMatchObject(
      refusal(/not sealed for this host/),
    );
  // A restarted agent has forgotten its keys.
  await expect(agent().open(await sealed(mine), SUSPECT)).rejects.toMatchObject(
    refusal(/not of this host/),
  );
});

test('F30, F28: what it holds is checked, and never told', async () => {
  const keys = agent();
  for (const text of [
    CANARY,
    '{}',
    'null',
    JSON.stringify({ kind: 'token', password: CANARY }),
    JSON.stringify({ kind: 'privateKey', password: CANARY }),
  ]) {
    const opened = keys.open(await sealed(keys, text), SUSPECT);
    await expect(opened).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(opened).rejects.not.toThrow(CANARY);
  }
  const key = { kind: 'privateKey', privateKey: 'k', passphrase: 'p' };
  expect(await keys.open(await sealed(keys, JSON.stringify(key)), SUSPECT)).toEqual(key);
});

test('F30: keys that nobody uses are bounded, and go with their time', async () => {
  const keys = agent();
  for (let i = 0; i < 64; i += 1) await keys.newKey(SUSPECT);
  await expect(keys.newKey(SUSPECT)).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  await clock.advance(CREDENTIAL_LIFE_MS);
  await keys.newKey(SUSPECT);
});
