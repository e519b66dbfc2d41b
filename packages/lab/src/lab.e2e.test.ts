import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Lab } from './client.js';
import {
  allPromises,
  endTestLab,
  promiseLimitMs,
  startTestLab,
  whyLeftOut,
} from './selftest/runSelfTest.js';

const isRoot = process.getuid?.() === 0;

(isRoot ? describe : describe.skip)('the lab keeps its promises', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await startTestLab();
  }, 60_000);

  afterAll(() => endTestLab(lab), 30_000);

  for (const promise of allPromises) {
    const why = whyLeftOut(promise);
    const name = why === undefined ? promise.name : `${promise.name} (${why})`;
    (why === undefined ? test : test.skip)(
      name,
      async () => {
        await expect(promise.check(lab)).resolves.toBeUndefined();
      },
      promiseLimitMs,
    );
  }
});
