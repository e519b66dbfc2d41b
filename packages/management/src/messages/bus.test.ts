import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import { VirtualClock } from '@fenceline/common/testing';
import { DomainError } from '@fenceline/protocol';
import { makeMessageBus } from './bus.js';

const message = (hostUuid = 'h', reconnect = false) => ({
  hostUuid,
  newAdd: false,
  reconnect,
  timeoutMs: 1_000,
});

function makeWorld() {
  const clock = new VirtualClock();
  return { clock, bus: makeMessageBus(clock, silentLogger) };
}

describe('the message bus', () => {
  test('never rejects: what a handler throws is the error of the reply', async () => {
    const { bus } = makeWorld();
    bus.handle('ConnectHost', {
      run: async () => Promise.reject(new DomainError('CONFLICT', 'no')),
    });
    expect((await bus.send('ConnectHost', message())).error?.code).toBe('CONFLICT');
    expect((await bus.send('ReconnectHost', {} as never)).error?.code).toBe('INTERNAL');
  });

  test('F6: handlers get a frozen copy', async () => {
    const { bus } = makeWorld();
    bus.handle('ConnectHost', {
      run: async (got) => {
        expect(Object.isFrozen(got)).toBe(true);
        return {};
      },
    });
    expect(await bus.send('ConnectHost', message())).toEqual({});
  });

  test('messages of one resource run one after the other, of two side by side', async () => {
    const { bus, clock } = makeWorld();
    const trace: string[] = [];
    bus.handle('ConnectHost', {
      queue: ({ hostUuid }) => hostUuid,
      run: async ({ hostUuid }) => {
        trace.push(`+${hostUuid}`);
        await new Promise<void>((resolve) => clock.after(100, resolve));
        trace.push(`-${hostUuid}`);
        return {};
      },
    });
    const all = ['a', 'a', 'b'].map((host) => bus.send('ConnectHost', message(host)));
    await clock.settle(Promise.all(all));
    expect(trace).toEqual(['+a', '+b', '-a', '+a', '-b', '-a']);
  });

  test('F9: the caller hears at the time-out, the slot is free only when the run has settled', async () => {
    const { bus, clock } = makeWorld();
    const trace: string[] = [];
    bus.handle('ConnectHost', {
      queue: ({ hostUuid }) => hostUuid,
      run: async (_got, signal) => {
        trace.push(`began at ${clock.monotonicMs()}`);
        await new Promise<void>((resolve) => clock.after(5_000, resolve));
        trace.push(`settled at ${clock.monotonicMs()}, told to stop: ${signal.aborted}`);
        return {};
      },
    });
    const first = bus.send('ConnectHost', message());
    const second = bus.send('ConnectHost', message());
    expect((await clock.settle(first)).error?.code).toBe('TIMED_OUT');
    expect(clock.monotonicMs()).toBe(1_000);
    await clock.settle(second);
    expect(trace.slice(0, 3)).toEqual([
      'began at 0',
      'settled at 5000, told to stop: true',
      'began at 5000',
    ]);
  });

  test('C5: messages of one signature that overlap share one run', async () => {
    const { bus } = makeWorld();
    let runs = 0;
    bus.handle('ConnectHost', {
      queue: ({ hostUuid }) => hostUuid,
      flight: ({ hostUuid, reconnect }) => `${hostUuid} ${reconnect}`,
      run: async () => {
        runs += 1;
        return {};
      },
    });
    const all = Array.from({ length: 100 }, (_, i) =>
      bus.send('ConnectHost', message('h', i > 49)),
    );
    await Promise.all(all);
    expect(runs).toBe(2);
  });
});
