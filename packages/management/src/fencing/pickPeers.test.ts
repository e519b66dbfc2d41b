import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '@fenceline/common/testing';
import type { HostInfo } from '../hosts/contracts.js';
import fc from 'fast-check';
import type { LineSeen } from './lines/lineWatch.js';
import { isOlder, pickPeers, type PeerCandidate } from './pickPeers.js';

function host(uuid: string, change: Partial<HostInfo> = {}): HostInfo {
  return {
    uuid,
    name: uuid,
    clusterUuid: 'c1',
    hypervisor: 'KVM',
    addresses: ['192.0.2.1'],
    agentPort: 7_070,
    sshPort: 22,
    sshUsername: 'root',
    sshHostKeys: [],
    status: 'Connected',
    state: 'Enabled',
    liveness: 'online',
    quarantinedUntil: null,
    agentVersion: '0.1.0',
    hookWorking: true,
    cpus: 1,
    memoryMiB: 1,
    ...change,
  };
}
const up = (one: HostInfo): PeerCandidate => ({ host: one, linkUp: true });
const suspect = host('s');
const pick = (candidates: PeerCandidate[], hinted: string[] = [], crossCluster = false) =>
  pickPeers({ suspect, hinted, candidates, crossCluster }, seededRandom(1)).map(({ uuid }) => uuid);

describe('picking peers', () => {
  test('F12: hinted ones first, in their order, then the rest', () => {
    const all = ['a', 'b', 'c', 'd'].map((uuid) => up(host(uuid)));
    const picked = pick(all, ['c', 'a']);
    expect(picked.slice(0, 2)).toEqual(['c', 'a']);
    expect(picked.slice(2).toSorted()).toEqual(['b', 'd']);
  });

  test.each([
    ['F12', { hypervisor: 'ESX' }],
    ['F12', { status: 'Disconnected' as const }],
    ['F12', { state: 'Maintenance' as const }],
    ['F12', { clusterUuid: 'c2' }],
    ['F15', { agentVersion: '0.0.9' }],
  ])('%s: a hint does not make %j eligible', (_rule, change) => {
    expect(pick([up(host('a', change))], ['a'])).toEqual([]);
  });

  test('F12: a host without a link is not asked', () => {
    expect(pick([{ host: host('a'), linkUp: false }], ['a'])).toEqual([]);
  });

  test('F13: the suspect is never chosen, not even when hinted', () => {
    expect(pick([up(suspect)], ['s'])).toEqual([]);
  });

  test('F12: other clusters only if the setting says so, and last', () => {
    const all = [up(host('far', { clusterUuid: 'c2' })), up(host('near'))];
    expect(pick(all)).toEqual(['near']);
    expect(pick(all, [], true)).toEqual(['near', 'far']);
  });

  test('F12: of equals those first whose fence line to the suspect answers, the quick ones first', () => {
    const line = (keeperUuid: string, change: Partial<LineSeen> = {}): LineSeen => ({
      ...{ keeperUuid, ways: ['ssh'], state: 'standing', roundTripMs: 5, answers: true },
      ...change,
    });
    const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((uuid) => up(host(uuid)));
    const lines: Record<string, LineSeen> = {
      b: line('b'),
      c: line('c', { roundTripMs: 1 }),
      d: line('d', { answers: false }),
      e: line('e', { state: 'broken', answers: false }),
    };
    const picked = pick(
      all.map((one) => ({ ...one, line: lines[one.host.uuid] })),
      ['f'],
    );
    expect(picked.slice(0, 3)).toEqual(['f', 'c', 'b']);
    // What does not answer is as good as nothing: chance decides.
    expect(picked.slice(3).toSorted()).toEqual(['a', 'd', 'e']);
  });

  test('F12: any table of siblings: never the suspect, each once, only eligible ones, the same from the same seed', () => {
    const uuids = fc.constantFrom('s', 'a', 'b', 'c', 'd', 'e', 'f', 'g');
    const candidates = fc.uniqueArray(
      fc.record({
        uuid: uuids,
        state: fc.constantFrom('Enabled' as const, 'Disabled' as const, 'Maintenance' as const),
        status: fc.constantFrom('Connected' as const, 'Disconnected' as const),
        clusterUuid: fc.constantFrom('c1', 'c2'),
        hypervisor: fc.constantFrom('KVM', 'ESX'),
        agentVersion: fc.constantFrom('0.1.0', '0.0.1', null),
        linkUp: fc.boolean(),
        answers: fc.option(fc.boolean()),
      }),
      { selector: ({ uuid }) => uuid },
    );
    fc.assert(
      fc.property(candidates, fc.array(uuids), fc.boolean(), (table, hinted, crossCluster) => {
        const all = table.map(({ uuid, linkUp, answers, ...change }): PeerCandidate => ({
          host: host(uuid, change),
          linkUp,
          ...(answers === null
            ? {}
            : {
                line: {
                  keeperUuid: uuid,
                  ways: ['ssh'],
                  state: 'standing',
                  roundTripMs: 1,
                  answers,
                },
              }),
        }));
        const picked = pick(all, hinted, crossCluster);
        expect(pick(all, hinted, crossCluster)).toEqual(picked);
        const allowed = table.filter(
          (one) =>
            one.uuid !== 's' &&
            one.linkUp &&
            one.hypervisor === 'KVM' &&
            one.status === 'Connected' &&
            one.state === 'Enabled' &&
            one.agentVersion !== '0.0.1' &&
            (crossCluster || one.clusterUuid === 'c1'),
        );
        expect(picked.toSorted()).toEqual(allowed.map(({ uuid }) => uuid).toSorted());
        const first = [...new Set(hinted)].filter((uuid) => picked.includes(uuid));
        expect(picked.slice(0, first.length)).toEqual(first);
      }),
    );
  });

  test('a hint given twice is asked once', () => {
    expect(pick([up(host('a'))], ['a', 'a'])).toEqual(['a']);
  });

  test.each([
    ['0.1.0', '0.1.0', false],
    ['0.0.9', '0.1.0', true],
    ['0.10.0', '0.9.9', false],
    ['1.0', '1.0.1', true],
  ])('version %s is older than %s: %s', (a, b, older) => {
    expect(isOlder(a, b)).toBe(older);
  });
});
