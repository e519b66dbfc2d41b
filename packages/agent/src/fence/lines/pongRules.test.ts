import { expect, test } from '@jest/globals';
import { readPong, whyNotOurs, type Pong } from './pongRules.js';

const HOST = '11111111-2222-4333-8444-555555555555';
const NONCE = '00112233445566778899aabbccddeeff';
const before: Pong = { nonce: NONCE, host: HOST, boot: 'boot-1', pidNamespace: '4026531836' };

test.each<[Partial<Pong>, string | undefined, string]>([
  [{}, undefined, 'the same'],
  [{ nonce: 'ab'.repeat(16) }, undefined, 'another question'],
  [{ host: HOST.toUpperCase().replaceAll('-', '') }, undefined, 'the same in another form'],
  [{ host: '' }, 'the host there belongs to no cluster', 'no identity'],
  [{ host: '-' }, 'the host there belongs to no cluster', 'none that could be read'],
  [{ host: HOST.replace('1', '2') }, 'another host answers there', 'a reused address'],
  [{ boot: 'boot-2' }, 'it answers under another boot', 'rebooted: its runs are others'],
  [
    { pidNamespace: '4026532999' },
    'it answers under another boot',
    "a container's view of the same host: it does not see the host's processes",
  ],
])('F22: a later pong with %j is ours or why not: %p (%s)', (change, why) => {
  expect(whyNotOurs({ ...before, ...change }, { hostUuid: HOST, before })).toBe(why);
});

test('F22: the first pong decides which boot it is, so it must say one', () => {
  expect(whyNotOurs(before, { hostUuid: HOST, before: undefined })).toBeUndefined();
  const mute = { ...before, boot: '' };
  expect(whyNotOurs(mute, { hostUuid: HOST, before: undefined })).toContain(
    'does not say its boot',
  );
});

test('F22: a pong is read field by field, in any order, and nothing else is one', () => {
  const line = `pong ${NONCE} boot=boot-1 pidns=4026531836 later=x host=${HOST}`;
  expect(readPong(line)).toEqual(before);
  for (const other of [`pong ${NONCE}`, `pong x host=${HOST}`, `pung ${NONCE} host=${HOST}`, ''])
    expect(readPong(other)).toBeUndefined();
});
