import { interleave } from '../interleave.js';
import { Measured, type Benchmark } from '../result.js';
import { BenchSite } from '../site/site.js';
import { BenchVm } from '../site/vm.js';
import { goals, ratiosOf } from './labels.js';
import { letIn, sidesOf } from './sides.js';

/**
 * Ends a VM on h1 from h2, in each way in turn (over the fence line from h3, which keeps one); every way
 * with the same guest, which is started anew before each measurement. Ours counts from the server's request, over a standing
 * connection with mutual TLS, to the whole answer.
 */
export const benchFence: Benchmark = {
  usualRuns: 25,
  goals,
  run: async (runs, tell) => {
    const site = await BenchSite.up(tell);
    try {
      const [suspect, peer, neighbour] = [site.at(1), site.at(2), site.at(3)];
      const vm = await BenchVm.define(site, suspect, 'bench1');
      letIn(peer, suspect);
      const lines = await site.layLine(neighbour, suspect);
      if (!lines) tell('no fence line: the fence program takes one order per session');
      const bench = { site, vm, suspect, peer, neighbour, lines };
      tell('a round that is not counted');
      await interleave(sidesOf(bench, new Measured()), 1, () => undefined);
      const measured = new Measured();
      await interleave(sidesOf(bench, measured), runs, tell);
      return { measured, ratios: ratiosOf(measured) };
    } finally {
      await site.down();
    }
  },
};
