import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { seededRandom } from '@fenceline/common/testing';
import type { HostInfo } from '../hosts/contracts.js';
import { pickPeers, type PeerCandidate } from './pickPeers.js';

const base = {
  ...{ addresses: ['192.0.2.1'], agentPort: 1, sshPort: 2, sshUsername: 'root', sshHostKeys: [] },
  ...{ liveness: 'online' as const, quarantinedUntil: null, cpus: 1, memoryMiB: 1 },
  hookWorking: true,
};
const uuids = ['s', 'a', 'b', 'c', 'd', 'e', 'f'] as const;
const candidate = fc
  .record({
    uuid: fc.constantFrom(...uuids),
    clusterUuid: fc.constantFrom('c1', 'c1', 'c2'),
    hypervisor: fc.constantFrom('KVM', 'KVM', 'KVM', 'ESX'),
    status: fc.constantFrom('Connected', 'Connected', 'Connected', 'Connecting', 'Disconnected'),
    state: fc.constantFrom('Enabled', 'Enabled', 'Enabled', 'Disabled', 'Maintenance'),
    agentVersion: fc.constantFrom(null, '0.1.0', '1.0', '0.0.9', '0.10.0'),
    linkUp: fc.boolean(),
  })
  .map(({ linkUp, ...host }): PeerCandidate => {
    return { host: { ...base, ...host, name: host.uuid }, linkUp };
  });
const table = fc.record({
  candidates: fc.uniqueArray(candidate, { maxLength: 7, selector: ({ host }) => host.uuid }),
  hinted: fc.array(fc.constantFrom(...uuids, 'nobody', '', 'S', 'a '), { maxLength: 8 }),
  crossCluster: fc.boolean(),
  seed: fc.nat(1_000),
});
const suspect = {
  ...base,
  uuid: 's',
  name: 's',
  clusterUuid: 'c1',
  hypervisor: 'KVM',
  status: 'Connected',
  state: 'Enabled',
  agentVersion: '0.1.0',
} as HostInfo;

test('F12, F13: random tables: only who is fit now, hinted first in their order, each once, never the suspect', () => {
  let picked = 0;
  fc.assert(
    fc.property(table, ({ seed, ...question }) => {
      const order = pickPeers({ suspect, ...question }, seededRandom(seed)).map(({ uuid }) => uuid);
      const fit = question.candidates
        .filter(({ host, linkUp }) => host.uuid !== 's' && linkUp && host.hypervisor === 'KVM')
        .filter(({ host }) => host.status === 'Connected' && host.state === 'Enabled')
        .filter(({ host }) => question.crossCluster || host.clusterUuid === 'c1')
        .filter(({ host }) => host.agentVersion !== '0.0.9')
        .map(({ host }) => host.uuid);
      expect(order.toSorted()).toEqual(fit.toSorted());
      const hints = [...new Set<string>(question.hinted)].filter((uuid) => fit.includes(uuid));
      expect(order.slice(0, hints.length)).toEqual(hints);
      const clusters = order
        .slice(hints.length)
        .map(
          (uuid) => question.candidates.find(({ host }) => host.uuid === uuid)?.host.clusterUuid,
        );
      // The suspect's own cluster before the others.
      expect(clusters).toEqual(clusters.toSorted((a = '', b = '') => a.localeCompare(b)));
      const again = pickPeers({ suspect, ...question }, seededRandom(seed));
      expect(again.map(({ uuid }) => uuid)).toEqual(order);
      picked += order.length;
    }),
    { seed: 3, numRuns: 5_000 },
  );
  expect(picked).toBeGreaterThan(1_000);
});

test('F12: among equals everybody comes first now and then', () => {
  const all = ['a', 'b', 'c', 'd'].map((uuid) => ({ host: { ...suspect, uuid }, linkUp: true }));
  const question = { suspect, hinted: [], candidates: all, crossCluster: false };
  const firsts = Array.from(
    { length: 200 },
    (_, seed) => pickPeers(question, seededRandom(seed))[0]?.uuid,
  );
  expect(new Set(firsts)).toEqual(new Set(['a', 'b', 'c', 'd']));
});
