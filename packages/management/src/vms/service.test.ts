import { expect, test } from '@jest/globals';
import { vmRow } from '../ha/testing/rows.js';
import { CLUSTER, makeWorld } from '../hosts/testing/world.js';
import { makeVmsService, type VmsServiceDeps } from './service.js';

const VM = (n: number): string => `a0000000-0000-4000-8000-00000000000${n}`;
const disk = (source: string) => [{ kind: 'file' as const, source }];

test('F34: of two VMs with one disk only one can be protected, and hosts hear of it', async () => {
  const { store } = await makeWorld();
  const rows = [
    vmRow(disk('/srv/a.img'), { uuid: VM(1), name: 'vm1', clusterUuid: CLUSTER, level: 'none' }),
    vmRow(disk('/srv/a.img'), { uuid: VM(2), name: 'vm2', clusterUuid: CLUSTER, level: 'none' }),
    vmRow(disk('/srv/b.img'), { uuid: VM(3), name: 'vm3', clusterUuid: CLUSTER, level: 'none' }),
  ];
  await store.db.insertInto('vms').values(rows).execute();
  let told = 0;
  const protection = { changed: () => void (told += 1) };
  // Protecting needs no more of the world than this.
  const service = makeVmsService({ store, protection } as unknown as VmsServiceDeps);
  await service.protect(VM(1), { level: 'neverStop' });
  await service.protect(VM(1), { level: 'onHostFailure' });
  await service.protect(VM(3), { level: 'neverStop' });
  await expect(service.protect(VM(2), { level: 'neverStop' })).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('/srv/a.img belongs to VM vm1'),
  });
  expect(told).toBe(3);
  await service.protect(VM(1), { level: 'none' });
  await service.protect(VM(2), { level: 'neverStop' });
  const levels = await store.db.selectFrom('vms').select('level').orderBy('uuid').execute();
  expect(levels.map(({ level }) => level)).toEqual(['none', 'neverStop', 'neverStop']);
});

test('F21a: a VM with a disk that is written by io_uring is not protected, and the way out is said', async () => {
  const { store } = await makeWorld();
  const uring = [{ kind: 'uring-block' as const, source: '/dev/vg/a' }];
  const row = vmRow(uring, { uuid: VM(1), name: 'vm1', clusterUuid: CLUSTER, level: 'none' });
  await store.db.insertInto('vms').values(row).execute();
  const protection = { changed: () => undefined };
  const service = makeVmsService({ store, protection } as unknown as VmsServiceDeps);
  for (const level of ['neverStop', 'onHostFailure'] as const)
    await expect(service.protect(VM(1), { level })).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringMatching(/\/dev\/vg\/a is written by io_uring.*io='native'/),
    });
  await service.protect(VM(1), { level: 'none', priority: 'high' });
  const [after] = await store.db.selectFrom('vms').selectAll().execute();
  expect(after).toMatchObject({ level: 'none', priority: 'high' });
});
