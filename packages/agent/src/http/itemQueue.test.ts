import { expect, test } from '@jest/globals';
import { makeItemQueue } from './itemQueue.js';

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) taken.push(item);
  return taken;
}

test('items come in order, those too that wait when it ends', async () => {
  const queue = makeItemQueue<number>(10);
  queue.push(1);
  const taking = all(queue.items());
  await Promise.resolve();
  queue.push(2);
  queue.push(3);
  queue.end();
  queue.push(4);
  expect(await taking).toEqual([1, 2, 3]);
});

test('a receiver that is too slow is cut off instead of filling the memory', async () => {
  const queue = makeItemQueue<number>(2);
  for (const item of [1, 2, 3]) queue.push(item);
  await expect(all(queue.items())).rejects.toThrow('more than 2 items');
});
