import { expect, test } from '@jest/globals';
import { parseDemoWish, playDemo } from './command.js';
import { scenarioOf } from './story.js';

const names = (args: string[]): string[] => parseDemoWish(args).scenarios.map(({ name }) => name);

test.each([
  // arguments  scenarios
  [[], ['leftover', 'dead', 'dead-no-power', 'stuck']],
  [
    ['--scenario', 'all'],
    ['leftover', 'dead', 'dead-no-power', 'stuck'],
  ],
  [['--scenario=dead'], ['dead']],
  [['--scenario', 'dead', '--no-power'], ['dead-no-power']],
  [['--scenario', 'stuck', '--json'], ['stuck']],
])('%j plays %j', (args, scenarios) => {
  expect(names(args)).toEqual(scenarios);
});

test.each([
  // arguments  where the JSON goes
  [[], undefined],
  [['--json'], '-'],
  [['--json', '--simulated'], '-'],
  [['--json', 'out.json', '--simulated'], 'out.json'],
  [['--json=out.json'], 'out.json'],
])('%j writes JSON to %j', (args, json) => {
  expect(parseDemoWish(args).json).toBe(json);
});

test.each([
  [['--scenario'], '--scenario needs a value'],
  [['--scenario', 'fire'], 'there is no scenario fire'],
  [['--sed', '1'], '--sed is not known'],
  [['--seed', 'x'], '--seed needs a whole number'],
  [['--seed', '4'], '--seed needs --simulated'],
  [['--keep', '--simulated'], '--keep needs real hosts'],
  [['--no-power', '--scenario', 'stuck'], '--no-power needs --scenario dead'],
])('%j is wrong usage', (args, message) => {
  expect(() => parseDemoWish(args)).toThrow(message);
});

test('a site that can not be set up is a failure with its reason, and the JSON is still there', async () => {
  const [out, err]: string[][] = [[], []];
  const code = await playDemo(
    () => Promise.reject(new Error('no qemu here')),
    { scenarios: [scenarioOf('leftover')], json: '-' },
    {
      out: (line) => out?.push(line),
      err: (line) => err?.push(line),
      writeFile: () => undefined,
      failed: (name) => err?.push(`kept for ${name}`),
    },
  );
  expect(code).toBe(1);
  expect(err?.at(-1)).toBe('kept for leftover');
  expect(err?.join('\n')).toContain('leftover could not be played: no qemu here');
  expect(JSON.parse(out?.join('') ?? '')).toEqual({ scenarios: [] });
});
