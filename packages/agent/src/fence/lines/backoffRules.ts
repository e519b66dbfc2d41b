const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Milliseconds before the next login of a fence line that failed `failures` times in a row: doubled
 * each time up to a minute, and spread by chance (`unit` in [0, 1)), so that the lines of many
 * hosts never come at one moment: sshd drops logins above MaxStartups.
 */
export function pauseMs(failures: number, unit: number): number {
  const doubled = FIRST_PAUSE_MS * 2 ** Math.min(16, Math.max(0, failures - 1));
  return Math.round(Math.min(LONGEST_PAUSE_MS, doubled) * (0.5 + unit));
}
