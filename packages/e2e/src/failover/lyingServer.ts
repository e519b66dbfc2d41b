/**
 * A server whose peer channel lies: it says "confirmed dead" without asking anybody. No setting
 * and no call reaches that; a test composes it, to show that the fence is what keeps a VM from
 * running twice.
 */
import {
  composeServer,
  proofByPeer,
  realWorld,
  runServer,
  type ProofChannel,
} from '@fenceline/management';

const lyingPeer: ProofChannel = {
  name: 'peer',
  barredBy: () => undefined,
  prove: async ({ run, vm }) => {
    const judged = proofByPeer(
      run,
      {
        peerHostUuid: 'somebody',
        success: true,
        qemuConfirmedDead: true,
        qemuStillAlive: false,
        targetHostUnreachable: false,
        outcome: 'confirmedDead',
        hostUuid: run.hostUuid,
        bootId: run.bootId,
        pidNamespace: run.pidNamespace ?? 'unknown',
        barrier: 'disk',
        disks: vm.disks.map(({ source }) => ({ source, drained: 'synced' })),
        killed: [],
      },
      vm.disks,
    );
    return 'proof' in judged
      ? { channel: 'peer', proof: judged.proof, why: 'a lie' }
      : { channel: 'peer', why: judged.refused };
  },
};

const world = realWorld((options) => composeServer(options, { channels: () => [lyingPeer] }));
process.exitCode = await runServer(process.argv.slice(2), world);
