import type { Dispatched, Dispatcher, IncomingCall } from '@fenceline/common';
import { VirtualClock } from '@fenceline/common/testing';
import { expect, test } from '@jest/globals';
import { onlyOnce } from './idempotency.js';

function counting(statuses: number[] = []): { inner: Dispatcher; done: () => number } {
  let count = 0;
  return {
    done: () => count,
    inner: {
      handle: async (): Promise<Dispatched> => {
        count += 1;
        const status = statuses[count - 1] ?? 200;
        return { kind: 'answer', answer: { status, body: { count } } };
      },
    },
  };
}

const call = (changes: Partial<IncomingCall> = {}): IncomingCall => ({
  method: 'POST',
  path: '/v1/vms/web1/start',
  fields: {},
  caller: { role: 'operator', name: 'otto' },
  signal: new AbortController().signal,
  idempotencyKey: 'k1',
  ...changes,
});

test.each<[Partial<IncomingCall>, number, string]>([
  [{}, 1, 'the same request again'],
  [{ idempotencyKey: 'k2' }, 2, 'another key'],
  [{ caller: { role: 'operator', name: 'olga' } }, 2, 'another caller'],
  [{ method: 'GET' }, 2, 'what changes nothing is never held back'],
])('%j: done %i times, %s', async (changes, times) => {
  const { inner, done } = counting();
  const once = onlyOnce(inner, new VirtualClock());
  await once.handle(call());
  await once.handle(call(changes));
  expect(done()).toBe(times);
});

test('without a key every request is done', async () => {
  const { inner, done } = counting();
  const once = onlyOnce(inner, new VirtualClock());
  const { idempotencyKey: _key, ...plain } = call();
  await once.handle(plain);
  await once.handle(plain);
  expect(done()).toBe(2);
});

test('two at one time share one run and one answer', async () => {
  const { inner, done } = counting();
  const once = onlyOnce(inner, new VirtualClock());
  const [a, b] = await Promise.all([once.handle(call()), once.handle(call())]);
  expect(done()).toBe(1);
  expect(a).toEqual(b);
});

test('a key for another request is a conflict', async () => {
  const { inner, done } = counting();
  const once = onlyOnce(inner, new VirtualClock());
  await once.handle(call());
  const second = await once.handle(call({ fields: { host: 'h2' } }));
  expect(second).toMatchObject({ answer: { status: 409, body: { code: 'CONFLICT' } } });
  expect(done()).toBe(1);
});

test.each([
  [500, 2, 'may work the next time'],
  [507, 2, 'the disk may have room again'],
  [409, 1, 'a refusal is an answer'],
])('after %i: done %i times, %s', async (status, times) => {
  const { inner, done } = counting([status]);
  const once = onlyOnce(inner, new VirtualClock());
  await once.handle(call());
  await once.handle(call());
  expect(done()).toBe(times);
});

test('after a day the key is free again', async () => {
  const { inner, done } = counting();
  const clock = new VirtualClock();
  const once = onlyOnce(inner, clock);
  await once.handle(call());
  await clock.advance(24 * 3_600_000);
  await once.handle(call());
  expect(done()).toBe(2);
});

test('what is remembered has a bound', async () => {
  const { inner, done } = counting();
  const once = onlyOnce(inner, new VirtualClock());
  for (let i = 0; i < 4_097; i += 1) await once.handle(call({ idempotencyKey: `k${i}` }));
  await once.handle(call({ idempotencyKey: 'k4096' }));
  expect(done()).toBe(4_097);
  await once.handle(call({ idempotencyKey: 'k0' }));
  expect(done()).toBe(4_098);
});
