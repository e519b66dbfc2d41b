import { expect, test } from '@jest/globals';
import type { Ledger } from '../vms/runs/ledger.js';
import { makeConfirmDeadService } from './services.js';
import { hostUuid, makeHaWorld, VM } from './testing/haWorld.js';

const ask = { hostUuid: hostUuid(1), reason: 'I pulled the plug', actor: { name: 'ann' } };

test('F41: confirm-dead: a host that acts while the word is being stored takes it back', async () => {
  const world = await makeHaWorld();
  const { clock, presence, ledger, deps, dispatch } = world;
  await ledger.adopt({ vmUuid: VM, mark: 1, hostUuid: hostUuid(1), bootId: 'boot-1' });
  const watchingSinceMs = clock.monotonicMs();
  await clock.advance(600_000);
  const close: Ledger['close'] = async (...proof) => {
    presence.noteSignOfLife(hostUuid(1), 'its heartbeat');
    await clock.advance(1);
    return ledger.close(...proof);
  };
  const service = makeConfirmDeadService({
    ...{ ...deps, dispatch, watchingSinceMs },
    ledger: { ...ledger, close },
  });
  expect(await service.confirmDead(ask as never)).toMatchObject({ vmUuids: [VM] });
  const lastSignOfLifeMs = (uuid: string) => presence.lastSignOfLifeMs(uuid);
  expect(await ledger.reviseProofs({ vmUuid: VM, lastSignOfLifeMs })).toHaveLength(1);
  expect(await ledger.openRuns(VM)).toMatchObject([{ hostUuid: hostUuid(1), state: 'maybe' }]);
});
