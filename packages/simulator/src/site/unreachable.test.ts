import { describe, expect, test } from '@jest/globals';
import type { StorageRecords } from '@fenceline/management';
import { protectedVm, untilSo, type ProtectedVm } from './testing/protectedVm.js';

const limit = { deadlineMs: 10_000 };

/** A power cut without a power device: the real composition has silence and nothing else. */
async function afterPowerCut(
  policy: 'corroborated' | 'never' | 'single',
  storageRecords?: StorageRecords,
): Promise<ProtectedVm> {
  const vm = await protectedVm({
    seed: 5,
    settings: ({ ha }) => {
      ha.unreachable.policy = policy;
      ha.restart.backoffMin = [0, 0.2];
    },
    ...(storageRecords === undefined ? {} : { core: { storageRecords } }),
  });
  vm.site.world.host('h1').powerOff();
  return vm;
}

const openTask = async ({ api }: ProtectedVm) =>
  (await api.listTasks({ open: true }, limit)).items[0];
const proofs = async ({ api, site }: ProtectedVm) => {
  const { items } = await api.listTasks({ vm: 'web1' }, limit);
  expect(site.check('web1').verdict).toBe('oneWriter');
  return (await api.listTaskProofs({ taskUuid: items[0]?.uuid ?? '' }, limit)).items;
};
const runsAgain = (vm: ProtectedVm, limitMs = 120_000) =>
  untilSo(
    vm.site,
    async () => (await vm.api.showVm({ vm: 'web1' }, limit)).hostName !== 'h1',
    limitMs,
  );

describe('hostUnreachable in the real composition', () => {
  test('corroborated never proves as long as there are no records of self-fencers', async () => {
    const vm = await afterPowerCut('corroborated');
    await vm.site.world.clock.advance(120_000);
    await untilSo(vm.site, async () => (await openTask(vm))?.state === 'refused');
    const task = await openTask(vm);
    expect(task?.waitsFor).toContain('peer said unreachable');
    expect(task?.waitsFor).toContain('no storage of this VM holds a record of its host');
    expect(task?.attempt).toBeGreaterThan(3);
    expect(await proofs(vm)).toEqual([]);
  });

  test('never says so', async () => {
    const vm = await afterPowerCut('never');
    await vm.site.world.clock.advance(60_000);
    await untilSo(vm.site, async () => (await openTask(vm))?.state === 'refused');
    expect((await openTask(vm))?.waitsFor).toContain('ha.unreachable.policy is never');
  });

  test('single starts it, marked on the proof, with an alarm that stays', async () => {
    const vm = await afterPowerCut('single');
    await runsAgain(vm);
    expect(await proofs(vm)).toMatchObject([
      { kind: 'hostUnreachable', source: 'unreachable:single', facts: { policy: 'single' } },
    ]);
    const { alarms } = await vm.api.status({}, limit);
    expect(alarms[0]).toMatchObject({ severity: 'critical', kind: 'ha.unreachable.single' });
    const { items } = await vm.api.listEvents({ kind: 'ha.unreachable.single', limit: 5 }, limit);
    expect(items).toHaveLength(1);
  });

  test('with a record of an armed self-fencer it is a proof, after its deadline and not before', async () => {
    const armed: StorageRecords = {
      read: async (run) => [
        {
          ...{ storage: 'nfs1', holdsDisk: true, bootId: run.bootId, sequence: 900 },
          ...{ selfFencerArmed: true, watchdogArmed: true, deadlineMs: 90_000 },
          kills: [{ vmUuid: run.vmUuid, epoch: run.epoch }],
          control: { hostUuid: 'another', advanced: true },
        },
      ],
    };
    const vm = await afterPowerCut('corroborated', armed);
    await vm.site.world.clock.advance(50_000);
    await untilSo(vm.site, async () => (await openTask(vm))?.state === 'refused');
    expect((await openTask(vm))?.waitsFor).toMatch(/its record stood still for \d+ of 90000 ms/);
    await runsAgain(vm);
    expect(await proofs(vm)).toMatchObject([
      { kind: 'hostUnreachable', source: 'unreachable:corroborated' },
    ]);
  });
});
