import { expect, test } from '@jest/globals';
import { VirtualClock } from '@fenceline/common/testing';
import { UnchangedRecords, type StorageRecord } from './storageRecords.js';

const record: StorageRecord = {
  storage: 'nfs1',
  holdsDisk: true,
  bootId: 'boot-1',
  sequence: 7,
  selfFencerArmed: true,
  watchdogArmed: true,
  kills: [],
  deadlineMs: 1_000,
  control: null,
};

test('hostUnreachable: the count begins when the final sequence is first read, and with each new one anew', async () => {
  const clock = new VirtualClock();
  const unchanged = new UnchangedRecords(clock);
  const forMs = (change: Partial<StorageRecord> = {}): number[] =>
    unchanged.note('h1', [{ ...record, ...change }]).map(({ unchangedForMs }) => unchangedForMs);
  expect(forMs()).toEqual([0]);
  await clock.advance(900);
  expect(forMs()).toEqual([900]);
  expect(forMs({ storage: 'nfs2' })).toEqual([0]);
  expect(forMs({ sequence: 8 })).toEqual([0]);
  await clock.advance(500);
  expect(forMs({ sequence: 8 })).toEqual([500]);
  // Also if it goes back, or stands for another boot.
  expect(forMs({ sequence: 7 })).toEqual([0]);
  expect(forMs({ sequence: 7, bootId: 'boot-2' })).toEqual([0]);
});

test('hostUnreachable: a server that restarted counts anew: nobody watched', async () => {
  const clock = new VirtualClock();
  new UnchangedRecords(clock).note('h1', [record]);
  await clock.advance(100_000);
  expect(new UnchangedRecords(clock).note('h1', [record])[0]?.unchangedForMs).toBe(0);
});
