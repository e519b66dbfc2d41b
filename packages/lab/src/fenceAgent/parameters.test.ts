import { expect, test } from '@jest/globals';
import { fenceActions, fenceMetadata, fenceParameters } from './parameters.js';

test('standard input: known keys, synonyms, blanks, unknown keys and comments', () => {
  const input = '# a comment\naction = off\n port=h2 \nlogin=root\nlab_dir=/tmp/x=y\n\n';
  expect(fenceParameters([], input)).toEqual({
    action: 'off',
    plug: 'h2',
    labDir: '/tmp/x=y',
    timeoutMs: 20_000,
  });
});

test('options of the command line', () => {
  expect(fenceParameters(['-o', 'status', '--plug=h1', '-v'], '')).toMatchObject({
    action: 'status',
    plug: 'h1',
  });
});

test.each([
  ['action=off', 'no plug: which host would it be'],
  ['', 'the default action, reboot, needs a plug, too'],
  ['action=explode\nplug=h1', 'no such action'],
  ['action=list\ntimeout=0', 'no time at all'],
])('%j is refused: %s', (input) => {
  expect(() => fenceParameters([], input)).toThrow();
});

test('list and monitor need no plug', () => {
  expect(fenceParameters([], 'action=list').action).toBe('list');
  expect(fenceParameters([], 'action=monitor').action).toBe('monitor');
});

test('the metadata names every action', () => {
  for (const action of fenceActions) expect(fenceMetadata()).toContain(`<action name="${action}"`);
});
