import { existsSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { play, type Played, type Story } from './play.js';
import { SERVER_PROGRAM } from './serverProcess.js';
import { attemptOf, crashPoints, KNOWN_STEPS } from './steps.js';

/** One story takes 3 to 6 s; the machine may be busy with others. */
const LIMIT_MS = 120_000;

if (!existsSync(SERVER_PROGRAM))
  throw new Error(`${SERVER_PROGRAM} is not built. Build it first: scripts/build`);

const stories = {
  /** The agent of the VM's host dies, its qemu lives on, a sibling fences it. */
  leftover: { ending: 'running' },
  /** The destination starts the VM, but its answer does not come back. */
  answerLost: { ending: 'running', prepare: (site) => (site.startFate = 'answerLost') },
  /** The first start command does not reach its destination. */
  neverArrived: { ending: 'running', prepare: (site) => (site.startFate = 'neverArrived') },
  /** The old qemu can't be killed: its storage hangs. */
  stuck: {
    ending: 'refused',
    prepare: (site) => {
      for (const host of site.hosts) host.unkillable = true;
    },
  },
} satisfies Record<string, Story>;

const asPromised = { broken: [] };

/** Beside what was broken, a failed case shows what happened. */
function shown({ broken, chronicle, steps }: Played) {
  return broken.length === 0 ? { broken } : { broken, chronicle, steps };
}

// Played once without a crash, so that a step which is added to the server is covered by itself.
const [leftover, answerLost, neverArrived, stuck] = await Promise.all(
  [stories.leftover, stories.answerLost, stories.neverArrived, stories.stuck].map((story) =>
    play(story, []),
  ),
);

test.each([
  ['leftover', leftover],
  ['answerLost', answerLost],
  ['neverArrived', neverArrived],
  ['stuck', stuck],
])('F9, F10, F33: %s, undisturbed', (_name, played) => {
  expect(shown(played as Played)).toEqual(asPromised);
  expect(played?.lives).toBe(1);
});

test('the steps that are known today are among those that were found', () => {
  expect(attemptOf(leftover)).toEqual(expect.arrayContaining([...KNOWN_STEPS]));
  expect(attemptOf(answerLost)).toEqual(expect.arrayContaining(['resolve began', 'resolve ended']));
});

async function playKilled(story: Story, crashAt: readonly string[]): Promise<void> {
  const played = await play(story, crashAt);
  expect(shown(played)).toEqual(asPromised);
  expect(played.lives).toBe(2);
}

describe('the server is killed by SIGKILL right at a step', () => {
  test.concurrent.each(crashPoints(leftover))(
    'F9, F10, F33: leftover, killed at: %s',
    (_name, crashAt) => playKilled(stories.leftover, crashAt),
    LIMIT_MS,
  );

  test.concurrent.each(crashPoints(answerLost, { from: 'start-command ended' }))(
    'F9, F10, F33: a start whose answer was lost, killed at: %s',
    (_name, crashAt) => playKilled(stories.answerLost, crashAt),
    LIMIT_MS,
  );

  // What comes after the second grant is as in the first story.
  test.concurrent.each(
    crashPoints(neverArrived, { from: 'start-command began', to: 'grant ended' }),
  )(
    'F9, F10, F33: a start that never arrived, killed at: %s',
    (_name, crashAt) => playKilled(stories.neverArrived, crashAt),
    LIMIT_MS,
  );

  test.concurrent.each(crashPoints(stuck, { from: 'fence run began' }))(
    'F2, F9, F10: a qemu that can not be killed, the server killed at: %s',
    (_name, crashAt) => playKilled(stories.stuck, crashAt),
    LIMIT_MS,
  );
});

describe('the server is killed by SIGKILL while a command of it is on its way', () => {
  test.concurrent.each<[string, Story]>([
    ['a fence', { ending: 'running', killedAfterSending: 'fence' }],
    ['a fence that can not kill', { ...stories.stuck, killedAfterSending: 'fence' }],
    ['a start that works at once', { ending: 'running', killedAfterSending: 'start' }],
  ])('F9, F10, F33: %s', (_name, story) => playKilled(story, []), LIMIT_MS);

  test.concurrent(
    'F9, F33, F34: a start that begins only after the next server has closed its run: refused',
    async () => {
      const prepare: Story['prepare'] = (site) => (site.startFate = 'held');
      const story: Story = { ending: 'running', killedAfterSending: 'start', prepare };
      const played = await play(story, []);
      expect(shown(played)).toEqual(asPromised);
      expect(played.chronicle.join()).toMatch(/fenceAsked run 2.*startRefused run 2.*began run 3/);
    },
    LIMIT_MS,
  );
});
