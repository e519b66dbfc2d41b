import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Lab } from './client.js';
import { allPromises, endTestLab, promiseLimitMs, startTestLab } from './selftest/runSelfTest.js';

const isRoot = process.getuid?.() === 0;

(isRoot ? describe : describe.skip)('the lab keeps its promises', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await startTestLab();
  }, 60_000);

  afterAll(() => endTestLab(lab), 30_000);

  test.each(allPromises.map((promise) => [promise.name, promise] as const))(
    '%s',
    async (_, promise) => {
      await expect(promise.check(lab)).resolves.toBeUndefined();
    },
    promiseLimitMs,
  );
});
