import { expect, test } from '@jest/globals';
import { playScenario, scenarioOf, SCENARIO_NAMES } from '@fenceline/common/demo';
import { openSimDemoSite } from './simDemoSite.js';

test.each(SCENARIO_NAMES)('%s', async (name) => {
  const lines: string[] = [];
  let trace: readonly string[] = [];
  try {
    const result = await playScenario(
      async (o) => {
        const s = await openSimDemoSite({ seed: 1 }, o);
        trace = s.site.world.trace.lines;
        return s;
      },
      scenarioOf(name),
      (line) => lines.push(line),
    );
    console.log(lines.join('\n'));
    expect(result.asPromised).toBe(true);
  } catch (e) {
    console.log(lines.join('\n'), e, trace.slice(-60).join('\n'));
    throw e;
  }
});
