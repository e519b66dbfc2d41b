import { describe, expect, test } from '@jest/globals';
import { powerSetupProblems } from '../powerDevice.js';
import { powerInput, powerStateOf } from './fenceAgentPowerRules.js';

test.each([
  // exit  output                     state      why
  [0, 'Status: ON\n', 'on', 'what every fence agent says'],
  [2, 'Status: OFF\n', 'off', 'what every fence agent says'],
  [2, 'status: off', 'off', 'letter case does not matter'],
  [2, 'OFF\n', 'off', 'the bare word is a listed word'],
  [2, '', 'unknown', 'a shell or an argument parser exits with 2 on a mistake, too'],
  [2, 'usage: fence_x [-h]\n', 'unknown', 'usage error of an argument parser'],
  [2, 'Status: ON\n', 'unknown', 'exit code and word contradict each other'],
  [2, 'Status: OFF\nStatus: ON\n', 'unknown', 'two outlets that differ'],
  [2, 'host is powered off by nobody\n', 'unknown', 'off somewhere in a sentence is no answer'],
  [0, 'Status: OFF\n', 'unknown', 'contradiction is never on either'],
  [0, '', 'on', 'on needs no word: nothing dangerous follows from it'],
  [1, 'Status: OFF\n', 'unknown', 'a failed call proves nothing'],
  [137, 'Status: OFF\n', 'unknown', 'killed'],
  [null, 'Status: OFF\n', 'unknown', 'no exit code'],
] as [number | null, string, string, string][])(
  'powerOff: exit %s with %j reads %s: %s',
  (exit, output, state) => {
    expect(powerStateOf(exit, output)).toBe(state);
  },
);

test('parameters go in as lines, our action last', () => {
  expect(powerInput('off', { ip: '192.0.2.9', password: 'p w' })).toBe(
    'ip=192.0.2.9\npassword=p w\naction=off\n',
  );
});

describe('a set-up is refused without showing a value', () => {
  test.each([
    ['fence_ipmilan; rm', {}, 'program'],
    ['../fence_x', {}, 'program'],
    ['/opt/../fence_x', {}, 'program'],
    ['fence_x', { action: 'reboot' }, 'set by the server'],
    ['fence_x', { password: 'canary\naction=reboot' }, 'line break'],
    ['fence_x', { port: 7 }, 'must be a text'],
    ['fence_x', { 'a b': 'canary' }, 'not allowed'],
    ['fence_x', ['canary'], 'JSON object'],
  ])('%s %j', (agent, parameters, problem) => {
    const problems = powerSetupProblems(agent, parameters).join('; ');
    expect(problems).toContain(problem);
    expect(problems).not.toContain('canary');
  });

  test('a good one passes', () => {
    const parameters = { ip: '192.0.2.9', lanplus: '1', password: 'x' };
    expect(powerSetupProblems('fence_ipmilan', parameters)).toEqual([]);
    expect(powerSetupProblems('/usr/sbin/fence_ipmilan', parameters)).toEqual([]);
  });
});
