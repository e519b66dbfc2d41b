import type { JudgedRun, Ruling } from './lookRules.js';

/** Who answered, and under which boot. */
export interface BootFacts {
  hostUuid: string | null;
  bootId: string | null;
}

/**
 * `hostRebooted` without a look: the run's own host answers under another boot, and no process
 * outlives its kernel. It says nothing about what runs there since, so it is for runs that nobody
 * starts anew because of it: of VMs that stay as they are.
 */
export function judgeBoot(run: JudgedRun, facts: BootFacts): Ruling<'hostRebooted'> {
  if (facts.hostUuid !== run.hostUuid)
    return { refused: `the answer names host ${facts.hostUuid ?? 'none'}, not ${run.hostUuid}` };
  if (facts.bootId === null || facts.bootId === '') return { refused: 'the answer names no boot' };
  if (facts.bootId === run.bootId) return { refused: 'its host answers under the boot of the run' };
  return { kind: 'hostRebooted' };
}
