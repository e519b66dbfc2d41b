import { describe, expect, test } from '@jest/globals';
import { playScenario, scenarioOf, type ScenarioName } from '@fenceline/common/demo';
import { openSimDemoSite } from './simDemoSite.js';
import type { SimSite } from '../site/simSite.js';

async function play(name: ScenarioName, seed: number) {
  const lines: string[] = [];
  let site: SimSite | undefined;
  const result = await playScenario(
    async (options) => {
      const opened = await openSimDemoSite({ seed }, options);
      site = opened.site;
      return opened;
    },
    scenarioOf(name),
    (line) => lines.push(line),
  );
  if (site === undefined) throw new Error('no site was opened');
  return { result, lines, site, trace: site.world.trace.lines };
}

const seeds = [1, 2, 3];

describe.each(seeds)('with seed %i', (seed) => {
  test('F1, F19, F33: leftover: a sibling ends the qemu, then one start elsewhere', async () => {
    const { result, site, trace } = await play('leftover', seed);
    expect(result).toMatchObject({ outcome: 'restarted', asPromised: true, startsSent: 1 });
    expect(result.stages.map(({ name }) => name)).toEqual([
      'detection',
      'fence asked',
      'proof',
      'placement',
      'start sent',
      'seen running',
    ]);
    expect(result.endToEndMs).toBeLessThan(6_000);
    expect(site.check('web1')).toMatchObject({ verdict: 'oneWriter', lives: 2 });
    expect(site.check('db1')).toMatchObject({ verdict: 'oneWriter', lives: 1 });
    expect(site.runningOn('web1').map(({ name }) => name)).not.toContain('h1');
    // The proof came before the start left, and the qemu was gone before the proof.
    expect(
      orderOf(trace, ['of web1 is gone', 'proven: run 1', 'run 2 of VM web1 is started']),
    ).toBe(true);
  });

  test('F33: dead: power off and read back, then one start elsewhere', async () => {
    const { result, site, trace } = await play('dead', seed);
    expect(result).toMatchObject({ outcome: 'restarted', asPromised: true, startsSent: 1 });
    expect(result.endToEndMs).toBeLessThan(10_000);
    expect(site.world.host('h1').isOn).toBe(false);
    expect(orderOf(trace, ['h1 off (works)', 'powerOff', 'run 2 of VM web1 is started'])).toBe(
      true,
    );
  });

  test('F8, F13, F23: dead without power device: refused with reason and ways out', async () => {
    const { result, lines, site } = await play('dead-no-power', seed);
    expect(result).toMatchObject({ outcome: 'refused', asPromised: true, startsSent: 0 });
    expect(lines.join('\n')).toContain('fenceline host confirm-dead h1');
    expect(site.runningOn('web1')).toEqual([]);
  });

  test('F21, F21a: stuck: refused while the write hangs, started once when it has landed', async () => {
    const { result, site, trace } = await play('stuck', seed);
    expect(result).toMatchObject({ outcome: 'restarted', asPromised: true, startsSent: 1 });
    // Either the next attempt finds it out, or a look between two of them.
    expect(result.stages.map(({ name }) => name).filter((name) => name !== 'retry')).toEqual([
      'detection',
      'fence asked',
      'refusal',
      'proof',
      'placement',
      'start sent',
      'seen running',
    ]);
    expect(site.check('web1')).toMatchObject({ verdict: 'oneWriter', liveWriters: 1, lives: 2 });
    expect(trace.join('\n')).toContain('outcome="stillAlive"');
    expect(
      orderOf(trace, ['of web1 is gone', 'proven: run 1', 'run 2 of VM web1 is started']),
    ).toBe(true);
  });
});

/** The last line with each of these texts comes in this order. */
function orderOf(trace: readonly string[], texts: readonly string[]): boolean {
  const at = texts.map((text) => trace.findLastIndex((line) => line.includes(text)));
  return at.every((place, i) => place >= 0 && place > (at[i - 1] ?? -1));
}
