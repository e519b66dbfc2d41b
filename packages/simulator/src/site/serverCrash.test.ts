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

/** When the server is killed: right at a mark, or a moment after it. */
interface Crash {
  /** Number of the mark after the fault. */
  at: number;
  /** Milliseconds after it. */
  afterMs: number;
}

const never: Crash = { at: Number.POSITIVE_INFINITY, afterMs: 0 };

async function playWithCrash({ power, hurt }: Story, crash: Crash) {
  const marks: (StepMark & { atMs: number })[] = [];
  const now: { site?: SimSite; faultMs: number } = { faultMs: Number.POSITIVE_INFINITY };
  const kill = (site: SimSite): void => {
    site.server.crash();
    site.world.clock.after(2_000, () => void site.server.start());
  };
  const onStep = (mark: StepMark): void => {
    const { site, faultMs } = now;
    if (site === undefined || faultMs > site.world.clock.monotonicMs()) return;
    marks.push({ ...mark, atMs: site.world.clock.monotonicMs() });
    if (marks.length !== crash.at + 1) return;
    if (crash.afterMs === 0) kill(site);
    else site.world.clock.after(crash.afterMs, () => kill(site));
  };
  const { site, api, vmUuid } = await protectedVm({ seed: 5, power, core: { onStep } });
  const { world } = site;
  const faultMs = world.clock.monotonicMs();
  Object.assign(now, { site, faultMs });
  hurt(site);
  await untilSo(site, () => elsewhere(site), 15 * 60_000).catch(() => undefined);
  // A second start, by this life of the server or by the next one, would show itself.
  await world.clock.advance(10_000);
  const { opens } = world.storage.history('/srv/shared/web1.img');
  const { items } = await api.listTasks({ vm: vmUuid, limit: 1 }, { deadlineMs: 10_000 });
  return {
    marks,
    livesAfterFault: opens.filter(({ fromMs }) => fromMs >= faultMs).length,
    hosts: site.runningOn('web1').length,
    verdict: site.check('web1').verdict,
    taskEnded: items[0] !== undefined && items[0].endedAt !== null,
  };
}

const elsewhere = (site: SimSite): boolean =>
  site.runningOn('web1').some(({ name }) => name !== 'h1');

/** One start, one place, one writer, and the task is over. */
const asItMustBe = { livesAfterFault: 1, hosts: 1, verdict: 'oneWriter', taskEnded: true };

/** Every mark, and the middle of every step that takes its time. */
function crashesOf(marks: readonly (StepMark & { atMs: number })[]): Crash[] {
  return marks.flatMap((mark, at) => {
    const end = marks
      .slice(at + 1)
      .find(({ name, phase }) => name === mark.name && phase === 'ended');
    const lastsMs = mark.phase === 'began' && end !== undefined ? end.atMs - mark.atMs : 0;
    const middle = lastsMs > 20 ? [{ at, afterMs: lastsMs / 2 }] : [];
    return [{ at, afterMs: 0 }, ...middle];
  });
}

describe.each(Object.entries(stories))('%s', (_name, story) => {
  test('F10, F33: the server killed at every recorded step: one start, never two, no skipped fence', async () => {
    const whole = await playWithCrash(story, never);
    expect(whole).toMatchObject(asItMustBe);
    const names = whole.marks.map(({ name, phase }) => `${name} ${phase}`);
    const expected = ['ha-pre-fence-vm began', 'start-command began', 'seen-running ended'];
    expect(names).toEqual(expect.arrayContaining(expected));
    for (const crash of crashesOf(whole.marks)) {
      const { marks: _marks, ...seen } = await playWithCrash(story, crash);
      const mark = { step: names[crash.at], afterMs: crash.afterMs };
      expect({ ...mark, ...seen }).toEqual({ ...mark, ...asItMustBe });
    }
  }, 120_000);
});
