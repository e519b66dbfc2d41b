import { expect, test } from '@jest/globals';
import { Secret } from '@fenceline/common';
import { makeRig, plainVault } from '../../hosts/testing/rig.js';
import { hostUuid } from '../../hosts/testing/world.js';
import { dropRefusedPower } from './refusedPower.js';

test('powerOff: a stored device whose set-up is not allowed any more proves nothing, with an alarm', async () => {
  const rig = await makeRig(2);
  const [h1, h2] = [hostUuid(1), hostUuid(2)];
  const device = (plug: string) => ({
    agent: 'fence_virsh',
    parametersJson: new Secret(JSON.stringify({ plug })),
  });
  await rig.hosts.inventory.setPowerLevels(h1, [[device('a')]]);
  await rig.hosts.inventory.setPowerLevels(h2, [[device('b')]]);
  const verifiedAt = '2026-01-01T00:00:00.000Z';
  await rig.store.db.updateTable('powerDevices').set({ verifiedAt }).execute();
  await rig.store.db
    .updateTable('powerDevices')
    .set({ parametersSealed: '{"plug":"a","missing_as_off":"canary"}' })
    .where('hostUuid', '=', h1)
    .execute();

  await dropRefusedPower({ ...rig, loginVault: plainVault });

  const verified = async (host: string) =>
    (await rig.hosts.inventory.powerLevels(host))[0]?.devices[0]?.verifiedAt;
  expect([await verified(h1), await verified(h2)]).toEqual([null, verifiedAt]);
  expect(rig.seen.filter(({ kind }) => kind === 'host.powerRefused')).toEqual([
    expect.objectContaining({
      severity: 'critical',
      hostUuid: h1,
      text: expect.stringContaining('would read as off'),
    }),
  ]);
  expect(JSON.stringify(rig.seen)).not.toContain('canary');
  await expect(rig.hosts.inventory.verifyPower(h1)).rejects.toMatchObject({ code: 'REFUSED' });
});
