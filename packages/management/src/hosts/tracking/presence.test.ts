import { expect, test } from '@jest/globals';
import { VirtualClock } from '@fenceline/common/testing';
import { VmSeen } from '@fenceline/protocol';
import { Presence } from './presence.js';

const vm = (vmUuid: string, hasProcess: boolean) =>
  Object.assign(new VmSeen(), { vmUuid, hasProcess });

function rig() {
  const clock = new VirtualClock();
  const presence = new Presence(clock);
  presence.heard('h', 'b1');
  presence.setStream('h', true);
  return { clock, presence };
}

test('nothing is known of a host that was never heard', () => {
  const presence = new Presence(new VirtualClock());
  expect(presence.lastSignOfLifeMs('h')).toBeUndefined();
  expect(presence.bootId('h')).toBeUndefined();
  expect(presence.liveVms('h')).toBeUndefined();
  expect(presence.linkUp('h')).toBe(false);
});

test('F38: a list that a stream keeps current is fresh however old it is', async () => {
  const { clock, presence } = rig();
  presence.setList('h', { vms: [vm('a', true), vm('b', false)], followed: true });
  await clock.advance(3_600_000);
  expect(presence.liveVms('h')?.map(({ vmUuid }) => vmUuid)).toEqual(['a']);
});

test('F38: a list that nothing keeps current is fresh for a moment only', async () => {
  const { clock, presence } = rig();
  presence.setStream('h', false);
  presence.setList('h', { vms: [vm('a', true)], followed: false });
  await clock.advance(5_000);
  expect(presence.liveVms('h')).toHaveLength(1);
  await clock.advance(1);
  expect(presence.liveVms('h')).toBeUndefined();
});

test('F38: a list read before the stream is not made current by a later stream', async () => {
  const { clock, presence } = rig();
  presence.setList('h', { vms: [], followed: true });
  presence.setStream('h', false);
  presence.setStream('h', true);
  await clock.advance(5_001);
  expect(presence.liveVms('h')).toBeUndefined();
});

test('F38: another boot voids the list', () => {
  const { presence } = rig();
  presence.setList('h', { vms: [vm('a', true)], followed: true });
  presence.heard('h', 'b2');
  expect(presence.liveVms('h')).toBeUndefined();
});

test('a sign of life that somebody else saw counts, and is stored once', async () => {
  const { clock, presence } = rig();
  expect(presence.takeUnstored()).toHaveLength(1);
  expect(presence.takeUnstored()).toEqual([]);
  await clock.advance(1_000);
  presence.noteSignOfLife('h', 'kernel seen by s');
  expect(presence.lastSignOfLifeMs('h')).toBe(1_000);
  expect(presence.takeUnstored()).toEqual([
    { hostUuid: 'h', at: new Date(clock.wallMs()).toISOString() },
  ]);
});
