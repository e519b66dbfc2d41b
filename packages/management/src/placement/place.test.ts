import { describe, expect, test } from '@jest/globals';
import type { HostInfo } from '../hosts/contracts.js';
import { place, type PlacementHost, type PlacementQuestion } from './place.js';

function candidate(
  name: string,
  host: Partial<HostInfo> = {},
  change: Partial<PlacementHost> = {},
): PlacementHost {
  return {
    linkUp: true,
    usedMemoryMiB: 0,
    openRuns: 0,
    powerUnresolved: false,
    host: {
      uuid: name,
      name,
      clusterUuid: 'c1',
      hypervisor: 'KVM',
      addresses: [],
      agentPort: 1,
      sshPort: 1,
      sshUsername: 'root',
      sshHostKeys: [],
      status: 'Connected',
      state: 'Enabled',
      liveness: 'online',
      quarantinedUntil: null,
      agentVersion: null,
      hookWorking: true,
      cpus: 1,
      memoryMiB: 8_192,
      ...host,
    },
    ...change,
  };
}

const ask = (hosts: PlacementHost[], change: Partial<PlacementQuestion> = {}) =>
  place({
    vm: { uuid: 'vm', clusterUuid: 'c1', memoryMiB: 1_024 },
    hosts,
    suspects: [],
    excluded: [],
    softAvoid: [],
    reserveMemoryMiB: 1_024,
    now: '2026-01-01T00:00:00.000Z',
    ...change,
  });
const names = (placement: ReturnType<typeof place>): string[] =>
  placement.destinations.map(({ name }) => name);

describe('D11 placement', () => {
  test.each([
    [candidate('a', { state: 'Disabled' }), 'it is Disabled'],
    [candidate('a', { state: 'Maintenance' }), 'it is Maintenance'],
    [candidate('a', { status: 'Connecting' }), 'it is Connecting'],
    [candidate('a', { liveness: 'suspect' }), 'it is suspect'],
    [candidate('a', {}, { linkUp: false }), 'it is online'],
    [candidate('a', { clusterUuid: 'c2' }), 'another cluster'],
    [candidate('a', { hypervisor: 'ESX' }), 'no KVM host'],
    [candidate('a', { quarantinedUntil: '2026-02-01T00:00:00.000Z' }), 'quarantined'],
    [candidate('a', {}, { powerUnresolved: true }), 'power command'],
    [candidate('a', { memoryMiB: 2_000 }), '976 MiB free, 1024 MiB are needed'],
    [candidate('a', {}, { usedMemoryMiB: 6_500 }), '668 MiB free'],
  ])('refuses %#, with the reason', (one, reason) => {
    const placement = ask([one]);
    expect(names(placement)).toEqual([]);
    expect(placement.refusals[0]?.reason).toContain(reason);
  });

  test('never the suspect, whatever its status', () => {
    const placement = ask([candidate('a')], { suspects: ['a'], preferred: 'a' });
    expect(placement.refusals).toEqual([
      { hostUuid: 'a', host: 'a', reason: 'a run of this VM is open there' },
    ]);
  });

  test('the host with the largest free share first; softly avoided ones last', () => {
    const hosts = [
      candidate('a', {}, { usedMemoryMiB: 4_096, openRuns: 4 }),
      candidate('b'),
      candidate('c', {}, { usedMemoryMiB: 2_048, openRuns: 2 }),
    ];
    expect(names(ask(hosts))).toEqual(['b', 'c', 'a']);
    expect(names(ask(hosts, { softAvoid: ['b'] }))).toEqual(['c', 'a', 'b']);
    expect(names(ask(hosts, { preferred: 'a' }))).toEqual(['a', 'b', 'c']);
  });

  test('F34: a host without a working hook comes after those with one, and is not left out', () => {
    const hosts = [candidate('a', { hookWorking: false }), candidate('b')];
    expect(names(ask(hosts))).toEqual(['b', 'a']);
  });

  test('the same input in another order gives the same order', () => {
    const hosts = ['a', 'b', 'c'].map((name) => candidate(name));
    expect(names(ask(hosts.toReversed()))).toEqual(names(ask(hosts)));
  });
});
