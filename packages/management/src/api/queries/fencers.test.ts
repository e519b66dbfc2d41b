import { expect, test } from '@jest/globals';
import type { LineSeen } from '../../fencing/lines/lineWatch.js';
import { fencersOf } from './fencers.js';

test('F27: those with a line first, best first; the rest by name; never more than 16', () => {
  const peers = ['a', 'b', 'c'].map((uuid) => ({ uuid, name: `h-${uuid}` }));
  const line = (keeperUuid: string, change: Partial<LineSeen> = {}): LineSeen => ({
    ...{ keeperUuid, ways: ['ssh'], state: 'standing', roundTripMs: 2, answers: true },
    ...change,
  });
  // A keeper that is no peer any more (it was disabled) is not named.
  const lines = [
    line('gone'),
    line('c'),
    line('b', { state: 'broken', ways: [], roundTripMs: null }),
  ];
  expect(fencersOf(peers, lines)).toEqual([
    { uuid: 'c', name: 'h-c', line: 'standing', ways: ['ssh'], roundTripMs: 2 },
    { uuid: 'b', name: 'h-b', line: 'broken', ways: [], roundTripMs: null },
    { uuid: 'a', name: 'h-a', line: null, ways: [], roundTripMs: null },
  ]);
  const many = Array.from({ length: 20 }, (_, n) => ({ uuid: `u${n}`, name: `h${n}` }));
  expect(fencersOf(many, [line('u19')])).toHaveLength(16);
  expect(fencersOf(many, [line('u19')])[0]?.name).toBe('h19');
});
