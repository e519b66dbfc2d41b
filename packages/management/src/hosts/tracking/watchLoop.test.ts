import { expect, test } from '@jest/globals';
import { silentLogger, sleep } from '@fenceline/common';
import { VirtualClock } from '@fenceline/common/testing';
import { TransportError, type WatchItem } from '@fenceline/protocol';
import { startWatchLoop, type StreamEnd } from './watchLoop.js';

const item: WatchItem = {
  kind: 'heartbeat',
  sequence: 1,
  agentInstance: 'i',
  bootId: 'b',
  agentVersion: '1',
};

/** A loop over a gateway whose streams are what `stream` makes of them. */
function rig(stream: (clock: VirtualClock, signal: AbortSignal) => AsyncGenerator<WatchItem>) {
  const clock = new VirtualClock();
  const opens: number[] = [];
  const ends: StreamEnd[] = [];
  let items = 0;
  const loop = startWatchLoop({
    clock,
    log: silentLogger,
    gateway: {
      call: () => Promise.reject(new Error('not used')),
      async *watch(_agent, { signal }) {
        opens.push(clock.monotonicMs());
        yield* stream(clock, signal);
      },
    },
    address: async () => ({ hostUuid: 'h', address: 'a', port: 1 }),
    heartbeatEveryMs: () => 1_000,
    opened: () => undefined,
    item: () => (items += 1),
    ended: (end) => ends.push(end),
  });
  return { clock, loop, opens, ends, items: () => items };
}

test('D1: a stream that breaks is opened again at once, then with growing pauses', async () => {
  const { clock, loop, opens, ends } = rig(async function* (clock) {
    if (clock.monotonicMs() > 1_000) throw new TransportError('refused', 'no');
    yield item;
    await sleep(clock, 5_000);
    yield item;
    throw new TransportError('reset', 'cut');
  });
  await clock.advance(5_000 + 10_000);
  expect(opens).toEqual([0, 5_000, 5_400, 6_400, 8_400, 10_400, 12_400, 14_400]);
  expect(ends.slice(0, 2).map(({ failure }) => failure)).toEqual(['reset', 'refused']);
  await clock.settle(loop.stop());
  expect(clock.pending).toBe(0);
});

test('a stream that ends right after its first item is no loop without pauses', async () => {
  const { clock, loop, opens } = rig(async function* () {
    yield item;
  });
  await clock.advance(60_000);
  expect(opens.length).toBeLessThan(40);
  await clock.settle(loop.stop());
});

test('reopen gives up a stream that hangs, even if it does not react', async () => {
  const { clock, loop, opens, ends } = rig(async function* (clock) {
    yield item;
    await new Promise(() => clock);
    yield item;
  });
  await clock.advance(10_000);
  expect(opens).toHaveLength(1);
  loop.reopen();
  await clock.advance(100);
  expect(opens).toHaveLength(2);
  expect(ends.map(({ failure }) => failure)).toEqual(['aborted']);
  await clock.settle(loop.stop());
  expect(clock.pending).toBe(0);
});

test('what a given-up stream still yields is not believed', async () => {
  let release: (() => void) | undefined;
  const { clock, loop, items } = rig(async function* () {
    yield item;
    await new Promise<void>((resolve) => (release = resolve));
    yield item;
  });
  await clock.advance(1_000);
  const first = release;
  loop.reopen();
  await clock.advance(100);
  const before = items();
  first?.();
  await clock.advance(100);
  expect(items()).toBe(before);
  await clock.settle(loop.stop());
});
