import { describe, expect, test } from '@jest/globals';
import { sleep } from './clock.js';
import { makeKeyedQueue } from './queue.js';
import { makeSingleFlight } from './singleFlight.js';
import { VirtualClock } from './testing/index.js';

describe('single flight', () => {
  test('C5: N calls at once are one run, and all get its result', async () => {
    const clock = new VirtualClock();
    const flights = makeSingleFlight();
    let runs = 0;
    const connect = () =>
      flights.run('connect h1', async () => {
        runs += 1;
        await sleep(clock, 10);
        return { run: runs };
      });
    const all = Promise.all(Array.from({ length: 20 }, connect));
    const results = await clock.settle(all);
    expect(runs).toBe(1);
    expect(new Set(results).size).toBe(1);
  });

  test('C5: its failure is the failure of all', async () => {
    const clock = new VirtualClock();
    const flights = makeSingleFlight();
    const connect = () =>
      flights.run('connect h1', async () => {
        await sleep(clock, 10);
        throw new Error('no route');
      });
    const all = Promise.allSettled([connect(), connect(), connect()]);
    for (const result of await clock.settle(all))
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'no route' } });
  });

  test('the next call runs anew, after a success and after a failure', async () => {
    const flights = makeSingleFlight();
    let runs = 0;
    const work = async () => {
      runs += 1;
      if (runs === 1) throw new Error('first');
      return runs;
    };
    await expect(flights.run('k', work)).rejects.toThrow('first');
    await expect(flights.run('k', work)).resolves.toBe(2);
    await expect(flights.run('k', work)).resolves.toBe(3);
  });

  test('a work that throws at once rejects and leaves nothing behind', async () => {
    const flights = makeSingleFlight();
    const broken = flights.run('k', () => {
      throw new Error('at once');
    });
    await expect(broken).rejects.toThrow('at once');
    await expect(flights.run('k', async () => 'fine')).resolves.toBe('fine');
  });

  test('C5: a mix of connects and reconnects is exactly two runs that never overlap', async () => {
    const clock = new VirtualClock();
    const flights = makeSingleFlight();
    const queue = makeKeyedQueue(4);
    const trace: string[] = [];
    // As the server does it: the dimension is in the signature, the queue is the host's own.
    const connect = (reconnect: boolean) =>
      flights.run(`connect h1 ${reconnect}`, () =>
        queue.run('h1', async () => {
          trace.push(`${clock.monotonicMs()} begins reconnect=${reconnect}`);
          await sleep(clock, 10);
          trace.push(`${clock.monotonicMs()} ends`);
          return reconnect;
        }),
      );
    const mix = [false, true, false, true, true, false].map(connect);
    expect(await clock.settle(Promise.all(mix))).toEqual([false, true, false, true, true, false]);
    expect(trace).toEqual([
      '0 begins reconnect=false',
      '10 ends',
      '10 begins reconnect=true',
      '20 ends',
    ]);
  });
});
