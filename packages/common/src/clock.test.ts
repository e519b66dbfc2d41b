import { describe, expect, test } from '@jest/globals';
import { systemClock } from './adapters/systemClock.js';
import { isoNow, sleep, TimeoutError, withLimit } from './clock.js';
import { VirtualClock } from './testing/index.js';

function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'no failure',
    (error: unknown) => error,
  );
}

describe('sleep', () => {
  test('ends when the time has passed, not before', async () => {
    const clock = new VirtualClock();
    let awake = false;
    void sleep(clock, 100).then(() => (awake = true));
    await clock.advance(99);
    expect(awake).toBe(false);
    await clock.advance(1);
    expect(awake).toBe(true);
  });

  test('the signal ends it early, with its reason and without a timer left', async () => {
    const clock = new VirtualClock();
    const stop = new AbortController();
    const sleeping = failureOf(sleep(clock, 100, stop.signal));
    stop.abort(new Error('stop'));
    expect(await sleeping).toMatchObject({ message: 'stop' });
    expect(clock.pending).toBe(0);
    expect(await failureOf(sleep(clock, 1, stop.signal))).toMatchObject({ message: 'stop' });
    expect(clock.pending).toBe(0);
  });
});

describe('withLimit', () => {
  const limit = (clock: VirtualClock, signal?: AbortSignal) => ({
    clock,
    ms: 50,
    what: 'agent h1',
    signal,
  });

  test('gives the result, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const work = withLimit(limit(clock), async () => {
      await sleep(clock, 49);
      return 'done';
    });
    expect(await clock.settle(work)).toBe('done');
    expect(clock.pending).toBe(0);
  });

  test('a work that never settles ends at the limit, and hears of it', async () => {
    const clock = new VirtualClock();
    let heard: unknown;
    const work = failureOf(
      withLimit(limit(clock), (signal) => {
        signal.addEventListener('abort', () => (heard = signal.reason));
        return new Promise(() => undefined);
      }),
    );
    const error = await clock.settle(work);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ message: 'agent h1: no answer within 50 ms', waitedMs: 50 });
    expect(heard).toBe(error);
    expect(clock.monotonicMs()).toBe(50);
  });

  test('the outer signal ends it with its own reason', async () => {
    const clock = new VirtualClock();
    const outer = new AbortController();
    const work = failureOf(
      withLimit(limit(clock, outer.signal), () => new Promise(() => undefined)),
    );
    outer.abort(new Error('stopping'));
    expect(await work).toMatchObject({ message: 'stopping' });
    expect(clock.pending).toBe(0);
  });

  test('a signal that has fired before: the work never begins', async () => {
    const clock = new VirtualClock();
    let began = false;
    const work = withLimit(limit(clock, AbortSignal.abort(new Error('stopping'))), async () => {
      began = true;
    });
    await expect(work).rejects.toThrow('stopping');
    expect(began).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('what the work throws comes out, also before its first await, and no timer stays', async () => {
    const clock = new VirtualClock();
    const atOnce = withLimit(limit(clock), () => {
      throw new Error('at once');
    });
    await expect(atOnce).rejects.toThrow('at once');
    await expect(withLimit(limit(clock), () => Promise.reject(new Error('later')))).rejects.toThrow(
      'later',
    );
    expect(clock.pending).toBe(0);
  });
});

describe('virtual clock', () => {
  test('runs timers by time, then in the order in which they were set', async () => {
    const clock = new VirtualClock();
    const trace: string[] = [];
    for (const [name, ms] of [
      ['c', 20],
      ['a', 10],
      ['b', 10],
      ['d', 21],
    ] as const)
      clock.after(ms, () => trace.push(`${name} ${clock.monotonicMs()}`));
    await clock.advance(20);
    expect(trace).toEqual(['a 10', 'b 10', 'c 20']);
    expect(clock.pending).toBe(1);
  });

  test('between two timers everything that promises and immediates can do is done', async () => {
    const clock = new VirtualClock();
    const trace: string[] = [];
    clock.after(10, () => {
      void (async () => {
        for (let i = 0; i < 50; i += 1) await Promise.resolve();
        trace.push(`work of the first at ${clock.monotonicMs()}`);
        clock.after(1, () => trace.push(`set meanwhile at ${clock.monotonicMs()}`));
      })();
    });
    clock.after(12, () => trace.push(`second at ${clock.monotonicMs()}`));
    await clock.advance(100);
    expect(trace).toEqual(['work of the first at 10', 'set meanwhile at 11', 'second at 12']);
    expect(clock.monotonicMs()).toBe(100);
  });

  test('a cancelled timer does not run; cancelling twice is harmless', async () => {
    const clock = new VirtualClock();
    let ran = false;
    const timer = clock.after(5, () => (ran = true));
    timer.cancel();
    timer.cancel();
    await clock.advance(10);
    expect(ran).toBe(false);
  });

  test('after(0) never runs synchronously, but needs no time', async () => {
    const clock = new VirtualClock();
    let ran = false;
    clock.after(0, () => (ran = true));
    expect(ran).toBe(false);
    await clock.advance(0);
    expect(ran).toBe(true);
  });

  test('the time of day may jump; elapsed time does not', async () => {
    const clock = new VirtualClock(Date.UTC(2030, 0, 1));
    await clock.advance(1_500);
    expect(isoNow(clock)).toBe('2030-01-01T00:00:01.500Z');
    clock.stepWall(-3_600_000);
    expect(isoNow(clock)).toBe('2029-12-31T23:00:01.500Z');
    expect(clock.monotonicMs()).toBe(1_500);
  });

  test('settle says so when nothing can settle the work, or not in time', async () => {
    const clock = new VirtualClock();
    await expect(clock.settle(new Promise(() => undefined))).rejects.toThrow('nothing is left');
    const later = sleep(clock, 100);
    await expect(clock.settle(later, 99)).rejects.toThrow('not settled within 99 ms');
    await clock.settle(later);
  });

  test('two hands on one clock is a mistake of the test', async () => {
    const clock = new VirtualClock();
    const first = clock.advance(1);
    await expect(clock.advance(1)).rejects.toThrow('one hand');
    await first;
  });
});

describe('the system clock', () => {
  test.each([[0], [1.9], [10.5], [20]])('after(%d) never fires early', async (ms) => {
    const before = systemClock.monotonicMs();
    await sleep(systemClock, ms);
    expect(systemClock.monotonicMs() - before).toBeGreaterThanOrEqual(ms);
  });

  test('not one of thousands fires early', async () => {
    // Node's own timers count whole milliseconds: of so many, some come a moment early.
    const early = await Promise.all(
      Array.from({ length: 4_000 }, async (_, i) => {
        const beforeMs = systemClock.monotonicMs();
        await sleep(systemClock, 1 + (i % 30));
        return systemClock.monotonicMs() - beforeMs < 1 + (i % 30);
      }),
    );
    expect(early.filter(Boolean)).toEqual([]);
  });

  test('a delay beyond what a timer can hold does not fire at once', async () => {
    let fired = false;
    const timer = systemClock.after(2 ** 32, () => (fired = true));
    await sleep(systemClock, 20);
    timer.cancel();
    expect(fired).toBe(false);
  });

  test('wall time is the time of day', () => {
    expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(1_000);
  });
});
