import { cpSync, existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Lab } from '../client.js';
import { messageOf } from '../labError.js';
import { identify } from '../processes.js';

const PREFIX = 'fenceline-demo-';

/** A directory of its own for each run, so that two demos do not meet. */
export function demoDir(environment = process.env): string {
  return environment['FENCELINE_LAB_DIR'] ?? path.join(tmpdir(), `${PREFIX}${process.pid}`);
}

/**
 * Takes away what demos left that were killed, and names those that were kept: their hosts run.
 */
export async function tidyDemos(): Promise<string[]> {
  const kept: string[] = [];
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)$`).exec(name)?.[1];
    if (pid === undefined) continue;
    const lab = Lab.open({ dir: path.join(tmpdir(), name) });
    if (lab.isUp) kept.push(lab.paths.dir);
    else if (identify(Number(pid)) === undefined) await lab.purge();
  }
  return kept;
}

/**
 * Copies the logs of a scenario that failed to where they outlive the lab.
 * @returns a word about the folder; undefined if there are none.
 */
export function keepLogs({ paths }: Lab, scenario: string): string | undefined {
  if (!existsSync(paths.logs)) return undefined;
  const kept = path.join(`${paths.dir}-logs`, scenario);
  try {
    cpSync(paths.logs, kept, { recursive: true });
    return `Its logs are kept until you remove them: ${kept}`;
  } catch (error) {
    return `Its logs can't be kept: ${messageOf(error)}`;
  }
}
