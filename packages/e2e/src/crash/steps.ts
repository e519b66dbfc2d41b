/** A step of an HA start in one line, the same in each run: `fence run began`. */
export function wordOf({ name, phase }: { name: string; phase: 'began' | 'ended' }): string {
  // The rest of it names epoch and host.
  const step = name.startsWith('fence run') ? 'fence run' : name;
  return `${step} ${phase}`;
}

const bothPhases = (name: string): string[] => [
  wordOf({ name, phase: 'began' }),
  wordOf({ name, phase: 'ended' }),
];

const [FIRST_STEP = '', ...OTHERS] = [
  'ha-pre-fence-vm',
  'refresh',
  'dry-placement',
  'fence run',
  'before-ha-start-vm-instance',
  'mark-vm-stopped-and-save-last-host',
  'start-ha-vm',
  'placement',
  'grant',
  'start-command',
  'seen-running',
].flatMap(bothPhases);

/** What an HA start records today; new steps are found by the tests themselves. */
export const KNOWN_STEPS: readonly string[] = [FIRST_STEP, ...OTHERS];

interface Recorded {
  steps: readonly string[];
}

/** The steps of the first attempt. */
export function attemptOf(played: Recorded | undefined): string[] {
  const steps = played?.steps ?? [];
  const second = steps.indexOf(FIRST_STEP, 1);
  return steps.slice(0, second < 0 ? undefined : second);
}

/**
 * The steps in [from, to] of a played story: name, and the steps to wait for (a step that comes
 * for the second time is one that must have come twice).
 */
export function crashPoints(
  played: Recorded | undefined,
  { from, to }: { from?: string; to?: string } = {},
): [name: string, crashAt: string[]][] {
  const steps = attemptOf(played);
  const first = from === undefined ? 0 : steps.indexOf(from);
  const last = to === undefined ? steps.length - 1 : steps.lastIndexOf(to);
  // From the wrong place on, the table would be another one, and nobody would notice.
  if (first < 0 || last < 0) throw new Error(`not recorded: ${from ?? ''} … ${to ?? ''}`);
  return steps
    .map((word, at): [string, string[]] => {
      const crashAt = steps.slice(0, at + 1).filter((one) => one === word);
      return [crashAt.length > 1 ? `${word} (${crashAt.length})` : word, crashAt];
    })
    .slice(first, last + 1);
}
