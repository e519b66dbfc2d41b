import { expect, test } from '@jest/globals';
import { VirtualClock } from '@fenceline/common/testing';
import { VmSeen } from '@fenceline/protocol';
import { makeRunWatch, type WantedRun } from './runWatch.js';

const wanted: WantedRun = {
  hostUuid: 'h1',
  vmUuid: 'vm',
  epoch: 2,
  limitMs: 5_000,
  signal: new AbortController().signal,
};
const vm = (change: Partial<VmSeen> = {}): VmSeen =>
  Object.assign(new VmSeen(), { vmUuid: 'vm', state: 'Running', epoch: 2 }, change);

test('D13: a run that was seen before anybody waited for it costs no second', async () => {
  const clock = new VirtualClock();
  const watch = makeRunWatch(clock);
  watch.seen('h1', vm());
  expect(await clock.settle(watch.waitFor(wanted, async () => vm()))).toBe(true);
  expect(clock.monotonicMs()).toBe(0);
});

test('D13: an event ends the wait at once; another epoch, state or host does not', async () => {
  const clock = new VirtualClock();
  const watch = makeRunWatch(clock);
  const waiting = watch.waitFor(wanted, async () => undefined);
  clock.after(300, () => {
    watch.seen('h1', vm({ epoch: 1 }));
    watch.seen('h1', vm({ state: 'Starting' }));
    watch.seen('h2', vm());
  });
  clock.after(700, () => watch.seen('h1', vm()));
  expect(await clock.settle(waiting)).toBe(true);
  expect(clock.monotonicMs()).toBe(700);
});

test('D13: not seen within the limit is not running', async () => {
  const clock = new VirtualClock();
  const waiting = makeRunWatch(clock).waitFor(wanted, async () => vm({ epoch: 1 }));
  expect(await clock.settle(waiting)).toBe(false);
  expect(clock.monotonicMs()).toBe(5_000);
});
