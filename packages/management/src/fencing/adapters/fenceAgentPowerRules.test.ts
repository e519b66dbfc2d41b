import { describe, expect, test } from '@jest/globals';
import { powerSetupProblems } from '../power/powerSetupRules.js';
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

test('powerOff: a parameter that makes "off" false is never passed, whoever calls', () => {
  const parameters = { plug: 'a', 'Missing-As_Off': '1', action: 'reboot', network_fencing: '1' };
  expect(powerInput('status', parameters)).toBe('plug=a\naction=status\n');
});

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

  test.each([
    ...['missing_as_off', 'missing-as-off', 'missing-as_off', 'MISSING_AS_OFF'],
    ...['network_fencing', 'network-fencing', 'cmd_prompt', 'command_prompt', 'command-prompt'],
    ...['plug_separator', 'plug-separator', 'record_only', 'option', 'ACTION', 'help', 'version'],
  ])('powerOff: a parameter that makes "off" false, whatever its value: %s', (key) => {
    // fencing.py hands "0" on as given, and its programs look only whether it is given.
    for (const value of ['1', '0', 'canary'])
      expect(powerSetupProblems('fence_virsh', { plug: 'x', [key]: value })).toHaveLength(1);
  });

  test.each([
    ['method', 'cycle', 'switches on again'],
    ['method', '"cycle"', 'switches on again'],
    ['Method', ' CYCLE', 'switches on again'],
    ['plug', '1,2', 'names several outlets'],
    ['port', 'a,b', 'names several outlets'],
  ])('powerOff: %s=%s', (key, value, problem) => {
    expect(powerSetupProblems('fence_apc', { [key]: value })).toEqual([
      expect.stringContaining(problem),
    ]);
  });

  test.each(['fence_zvmip', '/usr/sbin/fence_zvmip', 'fence_sbd', 'fence_crosslink', 'fence_scsi'])(
    'powerOff: a program whose "off" is no reading of power: %s',
    (agent) => {
      expect(powerSetupProblems(agent, {})).toEqual([
        expect.stringContaining('is not allowed: it'),
      ]);
    },
  );

  test('a good one passes', () => {
    expect(powerSetupProblems('fence_ipmilan', { method: 'onoff', port: '7' })).toEqual([]);
    const parameters = { ip: '192.0.2.9', lanplus: '1', password: 'x' };
    expect(powerSetupProblems('fence_ipmilan', parameters)).toEqual([]);
    expect(powerSetupProblems('/usr/sbin/fence_ipmilan', parameters)).toEqual([]);
  });
});
