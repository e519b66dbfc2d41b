import { expect, test } from '@jest/globals';
import { ownNetworkFirst, stalledMs, type LinkGlance } from './selfCheck.js';

const glance = (hostUuid: string, now: LinkGlance['now'], lastHeardMs: number, wasUp = true) => ({
  hostUuid,
  now,
  lastHeardMs,
  wasUp,
});

const cases: [LinkGlance[], boolean, string][] = [
  [[glance('s', 'quiet', 0)], false, 'one host alone says nothing about the network'],
  [
    [glance('s', 'quiet', 0), glance('a', 'answering', 3_000)],
    false,
    'a sibling answers: the network works',
  ],
  [
    [glance('s', 'quiet', 0), glance('a', 'refusing', 500)],
    false,
    'a refusal came over the network',
  ],
  [
    [glance('s', 'quiet', 0), glance('a', 'quiet', 900)],
    true,
    'all fell silent at the same moment',
  ],
  [
    [glance('s', 'quiet', 0), glance('a', 'quiet', 900), glance('b', 'answering', 3_000)],
    false,
    'not all',
  ],
  [
    [glance('s', 'quiet', 60_000), glance('a', 'quiet', 60_500), glance('b', 'quiet', 0)],
    true,
    'one that has been dead for long does not speak for the network',
  ],
  [
    [glance('s', 'quiet', 60_000), glance('a', 'quiet', 0)],
    false,
    'the other one died long before: two deaths, not one cut',
  ],
  [
    [glance('s', 'quiet', 0), glance('a', 'quiet', 0, false)],
    false,
    'a host that never was up does not count',
  ],
  [[glance('s', 'refusing', 0), glance('a', 'quiet', 0)], false, 'the suspect itself refuses'],
];
test.each(cases)('D3: %j → %s: %s', (glances, blamed) => {
  expect(ownNetworkFirst(glances, 's', 1_500)).toBe(blamed);
});

test.each([
  [1_000, 1_000, 0, 'on time'],
  [1_000, 1_299, 0, 'an usual delay'],
  [1_000, 1_300, 300, 'a stall'],
  [1_000, 3_500, 2_500, 'a long one'],
])('D3: a tick due at %d that came at %d was blind for %d ms: %s', (due, now, expected) => {
  expect(stalledMs(due, now)).toBe(expected);
});
