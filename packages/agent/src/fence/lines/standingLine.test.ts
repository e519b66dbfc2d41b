import { expect, test } from '@jest/globals';
import { VirtualClock } from '@fenceline/common/testing';
import { FakeProgram, SUSPECT, VM_A, VM_B, wholeAnswer } from '../../../test/fakeProgram.js';
import type { FenceOrder } from '../order.js';
import type { OrderResult } from '../runOrder.js';
import { judgeVm } from '../verdict.js';
import { StandingLine } from './standingLine.js';

const nonceOf = (n: number): string => String(n).repeat(32).slice(0, 32);
const order = (n: number, vmUuid = VM_A): FenceOrder => ({
  mode: 'fence',
  nonce: nonceOf(n),
  hostUuid: SUSPECT,
  deadlineMs: 1_000,
  killGraceMs: 20,
  vms: [{ vmUuid, fenceEpoch: 7, disks: [] }],
});

function stand(): { clock: VirtualClock; program: FakeProgram; line: StandingLine; give: Give } {
  const clock = new VirtualClock();
  const program = new FakeProgram();
  const line = new StandingLine(program, clock);
  const { signal } = new AbortController();
  const give: Give = (one) => clock.settle(line.order(one, { clock, limitMs: 2_000, signal }));
  return { clock, program, line, give };
}
type Give = (one: FenceOrder) => Promise<OrderResult>;
const outcome = (one: FenceOrder, result: OrderResult): string =>
  judgeVm(
    one.vms[0] ?? { vmUuid: '', fenceEpoch: 0, disks: [] },
    { kind: 'session', ...result },
    {
      nonce: one.nonce,
      hostUuid: SUSPECT,
    },
  );

test('F27: many orders on one line, each with its own answer, and pings between them', async () => {
  const { clock, program, line, give } = stand();
  for (const n of [1, 2, 3]) {
    const one = order(n, n === 2 ? VM_B : VM_A);
    const result = await give(one);
    expect(outcome(one, result)).toBe('nothingFound');
    expect([...result.answer.vms.keys()]).toEqual([n === 2 ? VM_B : VM_A]);
    expect(await clock.settle(line.ping('ab'.repeat(16), 1_000))).toMatchObject({ host: SUSPECT });
  }
  expect(line.isFree).toBe(true);
  expect(program.inputEnded).toBe(false);
});

test('F22: an answer to an earlier order is none for this one', async () => {
  const { program, give } = stand();
  program.answers = (head, vms) => wholeAnswer(head.replace(/[0-9a-f]{32}/, nonceOf(9)), vms);
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('noNonce');
});

test('F22: an order without a complete answer closes the line, so that it can not leak', async () => {
  const { program, line, give } = stand();
  program.answers = (head, vms) => wholeAnswer(head, vms).slice(0, -1);
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('deadline');
  expect(program.closed).toBe(true);
  await expect(line.over).resolves.toContain('no complete answer');
  await expect(give(order(2))).rejects.toThrow('not free');
});

test('F23: out of time after it had told of processes: they live', async () => {
  const { program, give } = stand();
  program.answers = () => [`pid ${VM_A} 42 1234 epoch=7`];
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('stillAlive');
});

test('F27: what nobody asked for makes a line worthless', async () => {
  const { program, line } = stand();
  program.say(`verdict ${VM_A} dead barrier=disk`);
  await expect(line.over).resolves.toContain('nobody had asked for');
  expect(program.closed).toBe(true);
  expect(line.isFree).toBe(false);
});

test('F22: what comes behind the last line takes it back', async () => {
  const { program, line, give } = stand();
  program.answers = (head, vms) => [...wholeAnswer(head, vms), 'and one more thing'];
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('channelClosed');
  expect(line.isFree).toBe(false);
});

test('F22: what comes behind the last line takes it back, also where the program ended well', async () => {
  const { program, give } = stand();
  program.answers = (head, vms) => {
    for (const line of [...wholeAnswer(head, vms), 'and one more thing']) program.say(line);
    program.finish({ kind: 'exit', code: 0 });
    return [];
  };
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('noNonce');
});

test('F27: a program that ends after its whole answer has answered', async () => {
  const { program, line, give } = stand();
  program.answers = (head, vms) => {
    for (const said of wholeAnswer(head, vms)) program.say(said);
    program.finish({ kind: 'exit', code: 0 });
    return [];
  };
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('nothingFound');
  expect(line.isFree).toBe(false);
});

test('F27: a pong to another ping is one that nobody asked for', async () => {
  const { program, line } = stand();
  program.mute = true;
  const ping = line.ping('ab'.repeat(16), 1_000);
  program.say(`pong ${'cd'.repeat(16)} host=${SUSPECT} boot=b-1 pidns=4`);
  await expect(ping).rejects.toThrow('nobody had asked for');
});

test('F25: an order may be answered at length, as its own limit says', async () => {
  const { program, give } = stand();
  const found = Array.from({ length: 200 }, (_, n) => `pid ${VM_A} ${n + 1} 1234 epoch=7`);
  program.answers = (head, vms) => [...found, ...wholeAnswer(head, vms)];
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('confirmedDead');
});

test('F29a: a refused order ends that line, with its reason', async () => {
  const { program, line, give } = stand();
  program.answers = () => ['refused bad-order-token not one of this host'];
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('badOrderToken');
  expect(line.isFree).toBe(false);
});

test('F25: endless output of a line is cut, between orders too', async () => {
  const { program, line } = stand();
  program.mute = true;
  for (let n = 0; n < 3; n += 1) program.say('x'.repeat(2_000));
  await expect(line.over).resolves.toBeTruthy();
});

test('a pong that is late comes before the answer of an order that was given meanwhile', async () => {
  const { clock, program, line, give } = stand();
  program.mute = true;
  const ping = line.ping('ab'.repeat(16), 45_000);
  await clock.advance(20_000);
  program.mute = false;
  program.answers = (head, vms) => [
    `pong ${'ab'.repeat(16)} host=${SUSPECT} boot=b-1 pidns=4`,
    ...wholeAnswer(head, vms),
  ];
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('nothingFound');
  await expect(ping).resolves.toMatchObject({ boot: 'b-1' });
});

test('a session that ends in the middle of an order is no answer', async () => {
  const { program, give } = stand();
  program.answers = (head, vms) => {
    program.say(wholeAnswer(head, vms)[0] ?? '');
    program.finish({ kind: 'closed' });
    return [];
  };
  const one = order(1);
  expect(outcome(one, await give(one))).toBe('channelClosed');
});
