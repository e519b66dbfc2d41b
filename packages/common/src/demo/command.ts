import { messageOf } from '../failure.js';
import { playScenario } from './play.js';
import type { ScenarioResult } from './result.js';
import type { OpenDemoSite } from './site.js';
import { chooseScenarios, SCENARIO_NAMES, type Scenario, type ScenarioName } from './story.js';

/** What was typed behind `./scripts/demo`. */
export interface DemoWish {
  scenarios: readonly Scenario[];
  simulated: boolean;
  /** Leave the site running at the end. */
  keep: boolean;
  /** Undefined: no JSON; '-': to standard output. */
  json: string | undefined;
  /** Simulated sites only: the same number gives the same story. */
  seed: number;
  help: boolean;
}

/** Where the demo's output goes. */
export interface DemoOutput {
  out: (line: string) => void;
  err: (line: string) => void;
  writeFile: (path: string, text: string) => void;
  /** Told of a scenario that was not as promised, or not played, while its site is still there. */
  failed?: (name: ScenarioName) => void;
}

export const DEMO_USAGE = [
  'Usage: ./scripts/demo [--simulated] [--scenario NAME] [--no-power] [--json [FILE]] [--keep]',
  '',
  '  --simulated        simulated hosts: no root, any system, a second or two',
  `  --scenario NAME    ${SCENARIO_NAMES.join(', ')} or all (default: all)`,
  '  --no-power         with "dead": as if the hosts had no power device',
  '  --json [FILE]      the result for programs, to a file or to standard output',
  '  --keep             leave it running and say how to look around (real hosts only)',
  '  --seed N           another run of chance (simulated hosts only; default 1)',
];

/** @throws Error with a sentence for what was typed wrong. */
export function parseDemoWish(args: readonly string[]): DemoWish {
  const typed = { scenario: 'all', noPower: false, seed: undefined as number | undefined };
  const wish: Omit<DemoWish, 'scenarios' | 'seed'> = {
    simulated: false,
    keep: false,
    json: undefined,
    help: false,
  };
  const rest = args.flatMap((arg) => (/^--[a-z-]+=/.test(arg) ? cutAtEquals(arg) : [arg]));
  const value = (name: string): string => {
    const next = rest.shift();
    if (next === undefined || next.startsWith('--')) throw new Error(`${name} needs a value`);
    return next;
  };
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--scenario') typed.scenario = value(arg);
    else if (arg === '--no-power') typed.noPower = true;
    else if (arg === '--simulated') wish.simulated = true;
    else if (arg === '--keep') wish.keep = true;
    else if (arg === '--help' || arg === '-h') wish.help = true;
    else if (arg === '--seed') typed.seed = wholeNumber(value(arg));
    else if (arg === '--json') wish.json = rest[0]?.startsWith('--') === false ? rest.shift() : '-';
    else if (isScenario(arg)) throw new Error(`did you mean --scenario ${arg}?`);
    else throw new Error(`${arg} is not known`);
  }
  if (wish.keep && wish.simulated) throw new Error('--keep needs real hosts, not --simulated');
  if (typed.seed !== undefined && !wish.simulated) throw new Error('--seed needs --simulated');
  if (typed.noPower && !typed.scenario.startsWith('dead'))
    throw new Error('--no-power needs --scenario dead');
  return { ...wish, seed: typed.seed ?? 1, scenarios: chooseScenarios(typed.scenario, typed) };
}

function isScenario(word: string): boolean {
  return word === 'all' || SCENARIO_NAMES.some((name) => name === word);
}

function cutAtEquals(arg: string): [string, string] {
  const at = arg.indexOf('=');
  return [arg.slice(0, at), arg.slice(at + 1)];
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error('--seed needs a whole number');
  return Number(text);
}

/**
 * Plays the scenarios in turn, each on a fresh site.
 * @returns the exit code: 0 if all were as promised, else 1.
 */
export async function playDemo(
  open: OpenDemoSite,
  wish: Pick<DemoWish, 'scenarios' | 'json'>,
  output: DemoOutput,
): Promise<number> {
  // Whoever reads the JSON from standard output must not find the story in it.
  const tell = wish.json === '-' ? output.err : output.out;
  const scenarios: ScenarioResult[] = [];
  let failed = false;
  for (const scenario of wish.scenarios) {
    const result = await playScenario(open, scenario, tell).catch((error: unknown) => {
      output.err(`The scenario ${scenario.name} could not be played: ${messageOf(error)}`);
    });
    if (result !== undefined) scenarios.push(result);
    if (result?.asPromised === true) continue;
    failed = true;
    output.failed?.(scenario.name);
  }
  const json = JSON.stringify({ scenarios }, undefined, 2);
  if (wish.json === '-') output.out(json);
  else if (wish.json !== undefined) output.writeFile(wish.json, `${json}\n`);
  return failed ? 1 : 0;
}
