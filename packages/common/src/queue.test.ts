import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeKeyedQueue } from './queue.js';
import { sleep } from './clock.js';
import { seededRandom, VirtualClock } from './testing/index.js';

describe('keyed queue', () => {
  test('work of one key runs in order, one at a time; keys run side by side', async () => {
    const clock = new VirtualClock();
    const queue = makeKeyedQueue(10);
    const trace: string[] = [];
    const work = (name: string, ms: number) => async () => {
      trace.push(`${clock.monotonicMs()} ${name} begins`);
      await sleep(clock, ms);
      trace.push(`${clock.monotonicMs()} ${name} ends`);
      return name;
    };
    const all = Promise.all([
      queue.run('h1', work('first', 10)),
      queue.run('h1', work('second', 1)),
      queue.run('h2', work('other', 3)),
    ]);
    expect(await clock.settle(all)).toEqual(['first', 'second', 'other']);
    expect(trace).toEqual([
      '0 first begins',
      '0 other begins',
      '3 other ends',
      '10 first ends',
      '10 second begins',
      '11 second ends',
    ]);
  });

  test('a throw releases the slot, exactly once', async () => {
    const queue = makeKeyedQueue(2);
    const failing = queue.run('k', () => Promise.reject(new Error('broke')));
    const next = queue.run('k', async () => 'goes on');
    await expect(failing).rejects.toThrow('broke');
    await expect(next).resolves.toBe('goes on');
    expect(queue.depth('k')).toBe(0);
    const atOnce = queue.run('k', () => {
      throw new Error('before any await');
    });
    await expect(atOnce).rejects.toThrow('before any await');
    expect(queue.depth('k')).toBe(0);
  });

  test('the bound refuses, and room comes back', async () => {
    const clock = new VirtualClock();
    const queue = makeKeyedQueue(2);
    const first = queue.run('k', () => sleep(clock, 5));
    const second = queue.run('k', () => sleep(clock, 5));
    expect(queue.depth('k')).toBe(2);
    await expect(queue.run('k', async () => 'third')).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(queue.run('other', async () => 'fine')).resolves.toBe('fine');
    await clock.settle(first);
    expect(queue.depth('k')).toBe(1);
    const later = queue.run('k', async () => 'room');
    await clock.settle(second);
    await expect(later).resolves.toBe('room');
  });

  test('idle waits for all keys, and for what is queued meanwhile', async () => {
    const clock = new VirtualClock();
    const queue = makeKeyedQueue(5);
    const trace: string[] = [];
    const first = queue.run('a', async () => {
      await sleep(clock, 5);
      void queue.run('b', () => sleep(clock, 7)).then(() => trace.push('b'));
    });
    const idle = queue.idle().then(() => trace.push('idle'));
    await clock.settle(Promise.all([first, idle]));
    expect(trace).toEqual(['b', 'idle']);
    expect(clock.monotonicMs()).toBe(12);
  });

  test('never two at once under a key, and none is lost, whatever fails', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const clock = new VirtualClock();
        const random = seededRandom(seed);
        const queue = makeKeyedQueue(50);
        const running = new Map<string, number>();
        let ended = 0;
        const works = Array.from({ length: 30 }, (_, i) => {
          const key = `k${Math.floor(random.unit() * 3)}`;
          const [ms, fails] = [Math.floor(random.unit() * 10), random.unit() < 0.3];
          return queue.run(key, async () => {
            running.set(key, (running.get(key) ?? 0) + 1);
            expect(running.get(key)).toBe(1);
            await sleep(clock, ms);
            running.set(key, 0);
            ended += 1;
            if (fails) throw new Error(`work ${i}`);
          });
        });
        await clock.settle(Promise.allSettled(works));
        expect(ended).toBe(30);
        await queue.idle();
      }),
      { numRuns: 50 },
    );
  });
});
