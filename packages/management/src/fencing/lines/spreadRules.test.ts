import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { spreadLines, type SpreadHost } from './spreadRules.js';

const host = (n: number, change: Partial<SpreadHost> = {}): SpreadHost => ({
  uuid: `host-${String(n).padStart(3, '0')}`,
  clusterUuid: 'c1',
  canKeep: true,
  ...change,
});
/** Numbers of hosts of one cluster, each once. */
const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 999 }), { minLength: 1, maxLength: 40 });
const perHosts = fc.integer({ min: 0, max: 4 });

const edges = (hosts: readonly SpreadHost[], perHost: number): string[] =>
  [...spreadLines(hosts, perHost)].flatMap(([from, to]) => to.map((one) => `${from}>${one}`));
const linesTo = (all: readonly string[], uuid: string): string[] =>
  all.filter((edge) => edge.endsWith(`>${uuid}`));
const linesFrom = (all: readonly string[], uuid: string): string[] =>
  all.filter((edge) => edge.startsWith(`${uuid}>`));

test('F27: three hosts with two lines each: everyone to everyone else', () => {
  const lines = spreadLines([host(1), host(2), host(3)], 2);
  expect(Object.fromEntries(lines)).toEqual({
    'host-001': ['host-002', 'host-003'],
    'host-002': ['host-001', 'host-003'],
    'host-003': ['host-001', 'host-002'],
  });
});

test('F27: every host has its lines, from as many different hosts, and all keep as many', () => {
  fc.assert(
    fc.property(numbers, perHosts, (ns, perHost) => {
      const hosts = ns.map((n) => host(n));
      const all = edges(hosts, perHost);
      const expected = Math.min(perHost, hosts.length - 1);
      for (const { uuid } of hosts) {
        expect(new Set(linesTo(all, uuid)).size).toBe(expected);
        expect(linesFrom(all, uuid)).toHaveLength(expected);
        expect(all).not.toContain(`${uuid}>${uuid}`);
      }
    }),
  );
});

test('F27: a host that comes or goes moves few lines of others', () => {
  fc.assert(
    fc.property(numbers, perHosts, fc.integer({ min: 0, max: 999 }), (ns, perHost, n) => {
      const without = ns.filter((one) => one !== n).map((one) => host(one));
      const before = edges(without, perHost);
      const after = edges([...without, host(n)], perHost);
      const gone = before.filter((edge) => !after.includes(edge));
      expect(gone.length).toBeLessThanOrEqual(perHost);
    }),
  );
});

test('F27: a host that falls ill keeps every line to it, and everyone else has theirs', () => {
  fc.assert(
    fc.property(numbers, perHosts, fc.func(fc.boolean()), (ns, perHost, isIll) => {
      const well = ns.map((n) => host(n));
      const hosts = ns.map((n) => host(n, { canKeep: !isIll(n) }));
      const [before, after] = [edges(well, perHost), edges(hosts, perHost)];
      const keepers = hosts.filter(({ canKeep }) => canKeep).map(({ uuid }) => uuid);
      for (const { uuid, canKeep } of hosts) {
        const possible = keepers.filter((one) => one !== uuid);
        expect(linesTo(after, uuid)).toHaveLength(Math.min(perHost, possible.length));
        if (!canKeep) expect(linesFrom(after, uuid)).toEqual([]);
        // What stood before between those that are well still stands.
        const stays = linesTo(before, uuid).filter((edge) =>
          keepers.includes(edge.split('>')[0] ?? ''),
        );
        expect(linesTo(after, uuid)).toEqual(expect.arrayContaining(stays));
      }
      const ill = hosts.length - keepers.length;
      for (const uuid of keepers)
        expect(linesFrom(after, uuid).length).toBeLessThanOrEqual(perHost + ill);
    }),
  );
});

test('F27: never across clusters', () => {
  const hosts = [host(1), host(2, { clusterUuid: 'c2' }), host(3), host(4, { clusterUuid: 'c2' })];
  expect(edges(hosts, 2).toSorted()).toEqual([
    'host-001>host-003',
    'host-002>host-004',
    'host-003>host-001',
    'host-004>host-002',
  ]);
});
