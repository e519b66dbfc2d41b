import type { Milestone, Stage } from './stages.js';
import { stagesOf } from './stages.js';
import type { Scenario, ScenarioName } from './story.js';

/** One scenario as programs read it (`--json`). */
export interface ScenarioResult {
  name: ScenarioName;
  outcome: 'restarted' | 'refused';
  asPromised: boolean;
  /** Start commands that left the server after the fault. */
  startsSent: number;
  /** Most lives that could write to the VM's disk at one moment; 1 is as it must be. */
  liveWriters: number;
  /** From the fault to "seen running", or to the refusal. */
  endToEndMs: number;
  stages: Stage[];
}

/** What was seen of one scenario. */
export interface Seen {
  milestones: readonly Milestone[];
  startsSent: number;
  /** Start commands before the storage returned; undefined where it never hung. */
  startsBeforeReturn: number | undefined;
  liveWriters: number;
  /** Commands that a person could use. */
  waysOut: readonly string[];
}

/** Measures what was seen against what was promised. A pure function. */
export function resultOf(scenario: Scenario, seen: Seen): ScenarioResult & { broken: string[] } {
  const { milestones, startsSent, liveWriters } = seen;
  const end = milestones.find(({ stage }) => stage === 'seen running');
  const outcome = end === undefined ? 'refused' : 'restarted';
  const endToEndMs = Math.round((end ?? milestones.at(-1))?.atMs ?? 0);
  const broken = brokenPromises(scenario, { ...seen, outcome, endToEndMs });
  return {
    name: scenario.name,
    outcome,
    asPromised: broken.length === 0,
    startsSent,
    liveWriters,
    endToEndMs,
    stages: stagesOf(milestones),
    broken,
  };
}

type Judged = Seen & Pick<ScenarioResult, 'outcome' | 'endToEndMs'>;

function brokenPromises({ promise }: Scenario, seen: Judged): string[] {
  const problems: string[] = [];
  const { outcome, endToEndMs, startsSent, startsBeforeReturn, liveWriters } = seen;
  if (outcome !== promise.outcome) problems.push(`it was ${outcome}, not ${promise.outcome}`);
  if (startsSent !== promise.startsSent)
    problems.push(`${startsSent} start commands were sent, not ${promise.startsSent}`);
  if (liveWriters !== 1) problems.push(`the disk had ${liveWriters} live writers, not 1`);
  if (promise.startsBeforeReturn !== undefined && startsBeforeReturn !== promise.startsBeforeReturn)
    problems.push(`${startsBeforeReturn} start commands were sent before the storage returned`);
  if (promise.withinMs !== undefined && endToEndMs > promise.withinMs)
    problems.push(`it took ${endToEndMs} ms, more than ${promise.withinMs} ms`);
  if (promise.outcome === 'refused' && seen.waysOut.length === 0)
    problems.push('no way out was shown');
  return problems;
}
