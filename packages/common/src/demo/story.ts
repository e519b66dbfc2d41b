import type { DemoFault } from './site.js';

export const SCENARIO_NAMES = ['leftover', 'dead', 'dead-no-power', 'stuck'] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** What a scenario does and what it promises. */
export interface Scenario {
  readonly name: ScenarioName;
  readonly fault: DemoFault;
  readonly powerDevices: boolean;
  /** What is about to happen, for people. */
  readonly story: string;
  /** What was done, in the timeline. */
  readonly deed: (host: string) => string;
  readonly promise: {
    outcome: 'restarted' | 'refused';
    startsSent: number;
    /** Start commands before the storage returned. */
    startsBeforeReturn?: number;
    /** From the fault to "seen running", milliseconds. */
    withinMs?: number;
  };
  /** What the promise means. */
  readonly moral: string;
}

const scenarios: Record<ScenarioName, Scenario> = {
  leftover: {
    name: 'leftover',
    fault: 'leftover',
    powerDevices: true,
    story:
      'The agent and libvirt of a host die, its qemu lives on and writes. Whoever starts the VM ' +
      'elsewhere now has two writers on one disk. Fenceline lets a sibling end the qemu first.',
    deed: (host) => `${host}: agent and libvirtd are killed; the qemu lives on, SSH works`,
    promise: { outcome: 'restarted', startsSent: 1, withinMs: 10_000 },
    moral: 'a sibling fenced the leftover qemu over SSH, then the VM was started elsewhere, once',
  },
  dead: {
    name: 'dead',
    fault: 'powerCut',
    powerDevices: true,
    story:
      'The power of a host is cut. Nobody answers there, which looks the same as a cut cable. ' +
      'The power device is told "off" and read back: that is proof.',
    deed: (host) => `${host}: power cut`,
    promise: { outcome: 'restarted', startsSent: 1, withinMs: 20_000 },
    moral: 'the power device proved the host off, then the VM was started elsewhere, once',
  },
  'dead-no-power': {
    name: 'dead-no-power',
    fault: 'powerCut',
    powerDevices: false,
    story:
      'The same without a power device: silence alone proves nothing, so nothing is started, and ' +
      'the reason and the ways out are shown.',
    deed: (host) => `${host}: power cut (and there is no power device)`,
    promise: { outcome: 'refused', startsSent: 0 },
    moral: 'no proof, no start; a person can confirm the host dead',
  },
  stuck: {
    name: 'stuck',
    fault: 'stuck',
    powerDevices: true,
    story:
      'The storage of a host hangs in the middle of a write, and agent and libvirt die. The qemu ' +
      'is killed and can not die; its write would still reach the disk. Fenceline waits.',
    deed: (host) => `${host}: its storage hangs; agent and libvirtd are killed`,
    promise: { outcome: 'restarted', startsSent: 1, startsBeforeReturn: 0 },
    moral: 'refused as long as the qemu could still write, started once when it was proven gone',
  },
};

export function scenarioOf(name: ScenarioName): Scenario {
  return scenarios[name];
}

/**
 * The scenarios behind `--scenario` and `--no-power`.
 * @throws Error for an unknown name.
 */
export function chooseScenarios(wish: string, { noPower }: { noPower: boolean }): Scenario[] {
  if (wish === 'all') return SCENARIO_NAMES.map(scenarioOf);
  if (wish === 'dead' && noPower) return [scenarioOf('dead-no-power')];
  const name = SCENARIO_NAMES.find((one) => one === wish);
  if (name === undefined)
    throw new Error(`there is no scenario ${wish}; choose ${SCENARIO_NAMES.join(', ')} or all`);
  return [scenarioOf(name)];
}
