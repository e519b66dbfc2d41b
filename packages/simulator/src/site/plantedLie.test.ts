import { expect, test } from '@jest/globals';
import { proofByPeer, type CoreOptions, type ProofChannel } from '@fenceline/management';
import { leaveQemuBehind, protectedVm, untilSo } from './testing/protectedVm.js';

/** A peer channel that says "confirmed dead" and asks nobody. */
const lyingPeer: ProofChannel = {
  name: 'peer',
  barredBy: () => undefined,
  prove: async ({ run, vm }) => {
    const evidence = {
      ...{ peerHostUuid: 'somebody', hostUuid: run.hostUuid, bootId: run.bootId },
      ...{ success: true, qemuConfirmedDead: true, qemuStillAlive: false },
      ...{
        targetHostUnreachable: false,
        outcome: 'confirmedDead',
        pidNamespace: run.pidNamespace ?? '1',
      },
      ...{ barrier: 'disk', killed: [] },
      disks: vm.disks.map(({ source }) => ({ source, drained: 'synced' })),
    };
    const judged = proofByPeer(run, evidence, vm.disks);
    if ('refused' in judged) throw new Error(judged.refused);
    return { channel: 'peer', proof: judged.proof, why: 'it lies' };
  },
};

const lie: CoreOptions = {
  channels: (standard) => [lyingPeer, ...standard.filter(({ name }) => name !== 'peer')],
};

test.each([1, 2, 3])('I1: a peer channel that lies shows two writers (seed %i)', async (seed) => {
  const { site } = await protectedVm({ seed, core: lie });
  leaveQemuBehind(site, 'h1');
  await untilSo(site, () => site.runningOn('web1').length > 1);
  await site.world.clock.advance(1_000);
  const word = site.check('web1');
  expect(word).toMatchObject({ verdict: 'twoWriters', liveWriters: 2 });
  expect(word.reasons.join('\n')).toContain('could still write');
});

test('F40: where image locks hold for all hosts, the lie is stopped by the lock', async () => {
  const { site } = await protectedVm({ seed: 1, core: lie, clusterLocks: true });
  leaveQemuBehind(site, 'h1');
  await site.world.clock.advance(60_000);
  expect(site.runningOn('web1').map(({ name }) => name)).toEqual(['h1']);
  expect(site.check('web1').verdict).toBe('oneWriter');
});
