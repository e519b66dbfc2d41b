import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { Random } from '../random.js';

/** The machine's cryptographic randomness. */
export const systemRandom: Random = {
  uuid: () => randomUUID(),
  hex: (bytes) => randomBytes(bytes).toString('hex'),
  unit: () => randomInt(2 ** 47) / 2 ** 47,
};
