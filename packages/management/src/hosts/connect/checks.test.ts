import { expect, test } from '@jest/globals';
import { PROTOCOL_VERSION } from '@fenceline/protocol';
import { checkCapacity, checkProtocol } from './checks.js';
import { pinnedHostKeys } from './hostKeys.js';
import { siblingKeysDigest, siblingKeysFor } from './siblingKeys.js';
import { newHostRow } from '../repository.js';
import { VirtualClock } from '@fenceline/common/testing';

test('C2: the protocol versions of agent and server must be the same', () => {
  const of = (protocolVersion: number) => () =>
    checkProtocol({ name: 'h1' }, { protocolVersion, agentVersion: '9.9' });
  expect(of(PROTOCOL_VERSION)).not.toThrow();
  expect(of(PROTOCOL_VERSION - 1)).toThrow(/too old.*upgrade fenceline-agent on that host/);
  expect(of(PROTOCOL_VERSION + 1)).toThrow(/too new.*upgrade this server/);
});

const keyCases: [string[], string[], string[] | undefined, string][] = [
  // pinned          seen                         result      why
  [[], ['rsa A c', 'ed B'], ['rsa A', 'ed B'], 'the first connect pins, without comments'],
  [[], [], undefined, 'no key, no fence'],
  [['ed B'], ['ed B'], ['ed B'], 'the same'],
  [['ed B'], ['ed B someone@h1'], ['ed B'], 'a comment is not the key'],
  [['ed B'], ['rsa A', 'ed B'], ['ed B'], 'a new type of key changes nothing'],
  [['rsa A', 'ed B'], ['ed B'], ['rsa A', 'ed B'], 'a type may be given up'],
  [['ed B'], ['ed X'], undefined, 'another key of that type'],
  [['rsa A', 'ed B'], ['rsa A', 'ed X'], undefined, 'one of two changed'],
  [['ed B'], ['rsa A'], undefined, 'none of the pinned ones is left'],
];
test.each(keyCases)('host keys pinned %j, seen %j → %j: %s', (pinned, seen, result) => {
  const go = () => pinnedHostKeys({ name: 'h1', sshHostKeys: pinned }, seen);
  if (result === undefined) expect(go).toThrow();
  else expect(go()).toEqual(result);
});

test.each([
  [1_024, 4, 1_024, 5, false],
  [1_025, 4, 1_024, 5, true],
  [4_096, 1, 1_024, 100, false],
])('C7: %d MiB, %d CPUs, reserve %d MiB %d %% → %s', (memoryMiB, cpus, reserve, percent, ok) => {
  const go = () =>
    checkCapacity({ name: 'h' }, { memoryMiB, cpus }, { memoryMiB: reserve, cpuPercent: percent });
  if (ok) expect(go).not.toThrow();
  else expect(go).toThrow();
});

test('F29: a host is told the other hosts of its own cluster that have a key', () => {
  const keyOf = (name: string): string => `ssh-ed25519 ${name.padEnd(68, 'A')}`;
  const host = (uuid: string, clusterUuid: string, fencePublicKey: string | null) => ({
    ...newHostRow(
      {
        uuid,
        clusterUuid,
        name: uuid,
        addresses: [`${uuid}.test`],
        agentPort: 1,
        sshPort: 2,
        sshUsername: 'root',
      },
      new VirtualClock(),
    ),
    fencePublicKey,
  });
  const hosts = [host('c', 'x', keyOf('c')), host('b', 'x', null), host('a', 'x', keyOf('a'))];
  const all = [...hosts, host('d', 'other', keyOf('d')), host('e', 'x', 'no key')];
  const keys = siblingKeysFor({ uuid: 'b', clusterUuid: 'x' }, all);
  expect(keys.map(({ hostUuid }) => hostUuid)).toEqual(['a', 'c']);
  expect(keys[0]?.addresses).toEqual(['a.test']);
  const changing = { ...host('a', 'x', keyOf('a')), nextFencePublicKey: keyOf('n') };
  const both = siblingKeysFor({ uuid: 'b', clusterUuid: 'x' }, [changing]);
  expect(both.map((key) => key.fencePublicKey)).toEqual([keyOf('a'), keyOf('n')]);
  const again = siblingKeysFor({ uuid: 'b', clusterUuid: 'x' }, all.toReversed());
  const digest = (siblings: typeof keys, orderTokens = true): string =>
    siblingKeysDigest({ siblings, orderTokens });
  expect(digest(again)).toBe(digest(keys));
  expect(digest(keys, false)).not.toBe(digest(keys));
});
