import { describe, expect, test } from '@jest/globals';
import { resolveVerdict, type VerdictDecision } from './verdict.js';

const THREE = [true, false, undefined] as const;

/** Every combination of the three values: [dead, alive, unreachable]. */
const combinations = THREE.flatMap((dead) =>
  THREE.flatMap((alive) => THREE.map((unreachable) => [dead, alive, unreachable] as const)),
);

/** The table of the specification, spelled out again without sharing code with the rule. */
function expected(
  success: boolean | undefined,
  [dead, alive, unreachable]: (typeof combinations)[number],
): VerdictDecision {
  if (alive === true) return 'alive';
  if (success === true && dead === true && unreachable !== true) return 'dead';
  if (success === true && unreachable === true && dead !== true) return 'unreachable';
  return 'ambiguous';
}

const rows = THREE.flatMap((success) =>
  combinations.map((values) => [success, ...values, expected(success, values)] as const),
);

describe('F24 verdict table', () => {
  test('has all 81 rows, and counts what they decide', () => {
    expect(rows).toHaveLength(81);
    const count = (decision: VerdictDecision): number =>
      rows.filter((row) => row[4] === decision).length;
    // alive: 27 with alive=true. dead and unreachable: success, exactly one true, 2 x 2 - overlap.
    expect([count('alive'), count('dead'), count('unreachable'), count('ambiguous')]).toEqual([
      27, 4, 4, 46,
    ]);
  });

  test.each(rows)(
    'success %s, dead %s, alive %s, unreachable %s: %s',
    (success, qemuConfirmedDead, qemuStillAlive, targetHostUnreachable, decision) => {
      const answer = { success, qemuConfirmedDead, qemuStillAlive, targetHostUnreachable };
      expect(resolveVerdict(answer)).toBe(decision);
    },
  );

  test.each([
    ['true', 'the word is not the value'],
    [1, 'a number is not a boolean'],
    [{}, 'an object is nothing that we know'],
  ] as [unknown, string][])(
    'a value %p that is neither true, false, null nor absent is ambiguous: %s',
    (odd) => {
      const dead = { success: true, qemuConfirmedDead: true, qemuStillAlive: false };
      expect(resolveVerdict({ ...dead, targetHostUnreachable: odd })).toBe('ambiguous');
      expect(resolveVerdict({ ...dead, qemuConfirmedDead: odd, targetHostUnreachable: null })).toBe(
        'ambiguous',
      );
      expect(resolveVerdict({ ...dead, success: odd, targetHostUnreachable: null })).toBe(
        'ambiguous',
      );
    },
  );

  test('null counts as absent', () => {
    const answer = { success: true, qemuConfirmedDead: true, qemuStillAlive: null };
    expect(resolveVerdict({ ...answer, targetHostUnreachable: null })).toBe('dead');
  });
});
