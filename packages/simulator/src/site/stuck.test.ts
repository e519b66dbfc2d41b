import { expect, test } from '@jest/globals';
import { leaveQemuBehind, protectedVm } from './testing/protectedVm.js';

const limit = { deadlineMs: 10_000 };

test.each([5, 20])(
  'F8, F29a: a qemu that hangs in its storage, with nobody there to renew tokens: brought back when the storage is, after %d min',
  async (minutes) => {
    const { site, api } = await protectedVm({ seed: 3 });
    const { clock, storage } = site.world;
    storage.hang('h1');
    await clock.advance(500);
    leaveQemuBehind(site, 'h1');
    await clock.advance(minutes * 60_000);
    expect(site.runningOn('web1').map(({ name }) => name)).toEqual(['h1']);
    storage.resume('h1');
    // By a look between two attempts, whose back-off is longer than that by then.
    await clock.advance(30_000);
    const { items } = await api.listTasks({ vm: 'web1', limit: 1 }, limit);
    expect(items[0]).toMatchObject({ state: 'done' });
    expect(site.runningOn('web1').map(({ name }) => name)).not.toEqual(['h1']);
    expect(site.check('web1').verdict).toBe('oneWriter');
  },
  120_000,
);
