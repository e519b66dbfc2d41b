import { expect, test } from '@jest/globals';
import { makeWorkLane } from './lanes.js';

test('a lane runs as many as it is wide, then in order, and refuses above its bound', async () => {
  const lane = makeWorkLane('look', { width: 2, waiting: 1 });
  const order: string[] = [];
  const gates: (() => void)[] = [];
  const work = (name: string) => (): Promise<void> => {
    order.push(name);
    return new Promise((resolve) => gates.push(resolve));
  };
  const a = lane.run(work('a'));
  const b = lane.run(work('b'));
  const c = lane.run(work('c'));
  await expect(lane.run(work('d'))).rejects.toMatchObject({ code: 'REFUSED' });
  expect(order).toEqual(['a', 'b']);
  gates[0]?.();
  await a;
  expect(order).toEqual(['a', 'b', 'c']);
  gates[1]?.();
  gates[2]?.();
  await Promise.all([b, c]);
});

test('work that fails gives its place back', async () => {
  const lane = makeWorkLane('look', { width: 1, waiting: 1 });
  await expect(lane.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(lane.run(() => Promise.resolve(1))).resolves.toBe(1);
});
