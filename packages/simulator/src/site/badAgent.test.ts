import { describe, expect, test } from '@jest/globals';
import { agentRoutes } from '@fenceline/protocol';
import { protectedVm, type ProtectedVm } from './testing/protectedVm.js';

const limit = { deadlineMs: 10_000 };

/** Every host is connected anew, h3 first; how each of them stands a minute later. */
async function reconnected({ site, api }: ProtectedVm) {
  for (const host of ['h3', 'h1', 'h2']) {
    await api.reconnectHost({ host }, limit);
    await site.world.clock.advance(10_000);
  }
  await site.world.clock.advance(50_000);
  const { items } = await api.listHosts({}, limit);
  return new Map(
    items.map(({ name, status, connectFailure }) => [name, { status, connectFailure }]),
  );
}

const key = (chars: number): string => `ssh-ed25519 ${'A'.repeat(chars)}`;

describe('F29: what an agent tells is checked as what others are sent: it fails its own connect, never theirs', () => {
  test.each([
    ['a fence key that is none', { fencePublicKey: 'bad key' }, 'fencePublicKey'],
    ['a fence key and one more entry', { fencePublicKey: `${key(68)}\nx` }, 'fencePublicKey'],
    ['no fence key', { fencePublicKey: undefined }, 'fencePublicKey'],
    ['a host key without end', { sshHostKeys: [key(4_000)] }, 'sshHostKeys'],
    ['a host key of two lines', { sshHostKeys: [`${key(68)} c\n${key(68)}`] }, 'sshHostKeys'],
    [
      'too many host keys',
      { sshHostKeys: Array.from({ length: 17 }, () => key(68)) },
      'sshHostKeys',
    ],
    ['an address that is none', { addresses: ['10.77.1.13', '" x'] }, 'addresses'],
  ])(
    '%s',
    async (_name, bad, field) => {
      const vm = await protectedVm({ seed: 3 });
      const h3 = vm.site.world.host('h3');
      const good = {
        ...{ success: true, agentInstance: 'x', agentVersion: '0.1.0', bootId: h3.bootId },
        ...{ addresses: [h3.address], sshHostKeys: [h3.sshHostKey], fencePublicKey: key(68) },
      };
      vm.site.listeners.script('h3', agentRoutes.connect.path, () => ({
        status: 200,
        body: { ...good, ...bad },
      }));
      const hosts = await reconnected(vm);
      expect([hosts.get('h1')?.status, hosts.get('h2')?.status]).toEqual([
        'Connected',
        'Connected',
      ]);
      expect(hosts.get('h3')?.status).not.toBe('Connected');
      expect(hosts.get('h3')?.connectFailure).toContain(field);
    },
    60_000,
  );
});

test('F34: a disk that no order can name is not taken in, so that every host can still be told the others', async () => {
  const vm = await protectedVm({ seed: 3 });
  const { site, api } = vm;
  const { uuid } = site.defineVm('web2');
  site.listeners.script('h3', agentRoutes.vmDomain.path.replace(':vmUuid', uuid), () => ({
    status: 200,
    body: {
      ...{ success: true, name: 'web2', memoryMiB: 512, cpus: 1, domainXml: '<domain/>' },
      disks: [{ kind: 'file', source: '/srv/a\nb.img' }],
    },
  }));
  const imported = api.importVm({ host: 'h3', vm: 'web2' }, limit);
  await expect(imported).rejects.toThrow(/source/);
  expect((await api.listVms({}, limit)).items.map(({ name }) => name)).toEqual(['web1']);
  const hosts = await reconnected(vm);
  expect([...hosts.values()].map(({ status }) => status)).toEqual(Array(3).fill('Connected'));
}, 60_000);
