import { expect, test } from '@jest/globals';
import { drained, VirtualClock } from '@fenceline/common/testing';
import { bound, clockOf, Life } from './life.js';

test('a dead life: calls have no effect and never settle, timers never fire, no finally runs', async () => {
  const life = new Life('a');
  const clock = new VirtualClock();
  const done: string[] = [];
  const port = bound(life, {
    write: async (text: string) => {
      done.push(text);
      await drained();
      return text;
    },
  });
  const work = async (): Promise<void> => {
    try {
      await port.write('before');
      await port.write('after');
    } finally {
      done.push('finally');
    }
  };
  void work();
  clockOf(life, clock).after(10, () => done.push('timer'));
  life.end();
  void port.write('dead');
  await clock.advance(1_000);
  expect(done).toEqual(['before']);
});

test('a frozen life gets everything after the thaw, in order', async () => {
  const life = new Life('a');
  const clock = new VirtualClock();
  const done: string[] = [];
  const own = clockOf(life, clock);
  own.after(10, () => done.push('first'));
  const cancelled = own.after(20, () => done.push('cancelled'));
  own.after(15, () => cancelled.cancel());
  life.freeze();
  void life.answer(Promise.resolve('answer')).then((text) => done.push(text));
  await clock.advance(100);
  expect(done).toEqual([]);
  life.thaw();
  await drained();
  expect(done).toEqual(['first', 'answer']);
});
