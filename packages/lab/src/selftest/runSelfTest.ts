import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Lab } from '../client.js';
import { messageOf } from '../labError.js';
import { within } from '../limits.js';
import { faultPromises } from './faults.js';
import { hostPromises } from './hosts.js';
import { labPromises } from './labs.js';
import { powerPromises } from './powerDevice.js';
import { whyNoFault } from '../faultNeeds.js';
import type { LabPromise } from './kit.js';

export const promiseLimitMs = 120_000;

/** Everything that the lab promises, in the order in which it is checked. */
export const allPromises: readonly LabPromise[] = [
  ...hostPromises,
  ...faultPromises,
  ...powerPromises,
  ...labPromises,
];

export interface SelfTestOptions {
  /** Only promises whose name contains this. */
  readonly only: string;
  readonly say: (line: string) => void;
}

/** Checks the promises, one line each. True if all are kept. */
export async function runSelfTest({ only, say }: SelfTestOptions): Promise<boolean> {
  const chosen = allPromises.filter((promise) => promise.name.includes(only));
  const lab = await startTestLab();
  let broken = 0;
  let leftOut = 0;
  try {
    for (const promise of chosen) {
      const why = whyLeftOut(promise);
      if (why !== undefined) {
        say(`left out ${promise.name}: ${why}`);
        leftOut++;
        continue;
      }
      const begun = performance.now();
      const problem = await problemWith(promise, lab);
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
      say(`${problem === undefined ? 'ok    ' : 'FAILED'} ${promise.name} (${seconds} s)`);
      if (problem !== undefined) {
        broken++;
        say(`       ${problem}`);
      }
    }
  } finally {
    await endTestLab(lab);
  }
  const checked = chosen.length - leftOut;
  const besides = leftOut === 0 ? '' : ` ${leftOut} left out.`;
  say(`${checked - broken} of ${checked} promises are kept.${besides}`);
  return broken === 0 && chosen.length > 0;
}

/** Why a promise can't be checked on this machine; undefined: it can. */
export function whyLeftOut({ needs }: LabPromise): string | undefined {
  return needs === undefined ? undefined : whyNoFault(needs);
}

/** Three hosts in a directory of their own, ending with this process. */
export async function startTestLab(): Promise<Lab> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'fenceline-lab-'));
  const lab = Lab.open({ dir, endsWithMe: true, locks: false });
  try {
    await lab.up(3);
  } catch (error) {
    await endTestLab(lab);
    throw error;
  }
  return lab;
}

export async function endTestLab(lab: Lab): Promise<void> {
  await lab.purge();
}

async function problemWith(promise: LabPromise, lab: Lab): Promise<string | undefined> {
  try {
    await within(promiseLimitMs, 'this promise', promise.check(lab));
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
