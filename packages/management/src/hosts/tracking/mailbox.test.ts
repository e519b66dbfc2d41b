import { expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import { drained, VirtualClock } from '@fenceline/common/testing';
import { VmSeen } from '@fenceline/protocol';
import type { HostJudgement } from '../contracts.js';
import { Mailbox } from './mailbox.js';

const seen = (vmUuid: string) => ({
  hostUuid: 'h',
  bootId: 'b',
  vm: Object.assign(new VmSeen(), { vmUuid }),
});
const judgement = (row: string): HostJudgement => ({
  hostUuid: 'h',
  row,
  action: 'alarm',
  channels: [],
  siblingHostUuids: [],
  inputs: {},
  why: '',
});

/** A listener whose calls end when the test says so. */
function rig() {
  const clock = new VirtualClock();
  const told: string[] = [];
  const open: (() => void)[] = [];
  let overflows = 0;
  const hold = (word: string): Promise<void> => {
    told.push(word);
    return new Promise((resolve) => open.push(resolve));
  };
  const mailbox = new Mailbox({
    clock,
    log: silentLogger,
    listener: {
      vmsListed: () => hold('list'),
      vmChanged: ({ vm }) => hold(vm.vmUuid),
      judged: ({ row }) => hold(row),
    },
    overflowed: () => (overflows += 1),
  });
  const next = async (): Promise<void> => {
    open.shift()?.();
    await drained();
  };
  return { clock, mailbox, told, next, overflows: () => overflows };
}

test('the news of one host is told in order, one at a time', async () => {
  const { mailbox, told, next } = rig();
  mailbox.list({ hostUuid: 'h', bootId: 'b', vms: [], libvirtAnswered: true });
  mailbox.vm(seen('a'));
  mailbox.vm(seen('b'));
  await drained();
  expect(told).toEqual(['list']);
  await next();
  expect(told).toEqual(['list', 'a']);
  await next();
  await next();
  expect(told).toEqual(['list', 'a', 'b']);
});

test('of judgements that wait only the newest is told', async () => {
  const { mailbox, told, next } = rig();
  mailbox.vm(seen('a'));
  mailbox.judged(judgement('old'));
  mailbox.vm(seen('b'));
  mailbox.judged(judgement('new'));
  await drained();
  for (let i = 0; i < 4; i += 1) await next();
  expect(told).toEqual(['a', 'b', 'new']);
});

test('a listener that throws or hangs does not stop the news', async () => {
  const clock = new VirtualClock();
  const told: string[] = [];
  const mailbox = new Mailbox({
    clock,
    log: silentLogger,
    listener: {
      vmsListed: () => new Promise(() => undefined),
      vmChanged: async ({ vm }) => {
        told.push(vm.vmUuid);
        throw new Error('no');
      },
      judged: async ({ row }) => void told.push(row),
    },
    overflowed: () => undefined,
  });
  mailbox.list({ hostUuid: 'h', bootId: 'b', vms: [], libvirtAnswered: true });
  mailbox.vm(seen('a'));
  mailbox.judged(judgement('j'));
  await clock.advance(61_000);
  expect(told).toEqual(['a', 'j']);
  expect(clock.pending).toBe(0);
});

test('too many VM events are dropped and the list is asked for anew', async () => {
  const { mailbox, overflows } = rig();
  for (let i = 0; i < 1_100; i += 1) mailbox.vm(seen(`${i}`));
  expect(overflows()).toBeGreaterThan(0);
});
