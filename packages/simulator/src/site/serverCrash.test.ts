import { describe, expect, test } from '@jest/globals';
import type { StepMark } from '@fenceline/management';
import type { SimSite } from './simSite.js';
import { leaveQemuBehind, protectedVm, untilSo } from './testing/protectedVm.js';

/** What happens to `h1`; with `power`, hosts have power devices. */
interface Story {
  power: boolean;
  hurt: (site: SimSite) => void;
}

const stories: Record<string, Story> = {
  leftover: { power: false, hurt: (site) => leaveQemuBehind(site, 'h1') },
  dead: { power: true, hurt: (site) => site.world.host('h1').powerOff() },
};

/** Plays a story in which the server is killed at the n-th mark after the fault. */
async function playWithCrash({ power, hurt }: Story, crashAt: number) {
  const marks: StepMark[] = [];
  let hurtAlready = false;
  let site: SimSite | undefined;
  const onStep = (mark: StepMark): void => {
    if (!hurtAlready) return;
    marks.push(mark);
    if (marks.length !== crashAt + 1) return;
    site?.server.crash();
    site?.world.clock.after(2_000, () => void site?.server.start());
  };
  const set = await protectedVm({ seed: 5, power, core: { onStep } });
  site = set.site;
  const faultMs = site.world.clock.monotonicMs();
  hurtAlready = true;
  hurt(site);
  await untilSo(
    site,
    () => set.site.runningOn('web1').some(({ name }) => name !== 'h1'),
    15 * 60_000,
  ).catch(() => undefined);
  // A second start, or a second life of the server that starts again, would show itself.
  await site.world.clock.advance(30_000);
  const history = site.world.storage.history('/srv/shared/web1.img');
  const task = (await set.api.listTasks({ vm: set.vmUuid, limit: 1 }, { deadlineMs: 10_000 }))
    .items[0];
  return {
    site,
    marks,
    livesAfterFault: history.opens.filter(({ fromMs }) => fromMs >= faultMs).length,
    task,
  };
}

const names = ({ name, phase }: StepMark): string => `${name} ${phase}`;

describe.each(Object.entries(stories))('F10: %s', (_name, story) => {
  test('the server killed at every recorded step: one start, never two, no skipped fence', async () => {
    const whole = await playWithCrash(story, Number.POSITIVE_INFINITY);
    expect(whole.livesAfterFault).toBe(1);
    const expected = ['ha-pre-fence-vm began', 'start-command began', 'seen-running ended'];
    expect(whole.marks.map(names)).toEqual(expect.arrayContaining(expected));
    const outcomes: string[] = [];
    for (const [i, mark] of whole.marks.entries()) {
      const { site, livesAfterFault, task } = await playWithCrash(story, i);
      const word = site.check('web1');
      const where = site.runningOn('web1').map(({ name }) => name);
      outcomes.push(
        `${names(mark)}: ${word.verdict}, lives ${livesAfterFault}, on ${where.length} host(s)` +
          `, task ${task?.state ?? 'none'}`,
      );
    }
    console.log(outcomes.join('\n'));
    expect(outcomes.filter((one) => !one.includes('oneWriter, lives 1, on 1 host(s)'))).toEqual([]);
  }, 120_000);
});
