import { describe, expect, test } from '@jest/globals';
import type { FoundProgram } from './background.js';
import {
  asksForTokens,
  doorAddress,
  doorProgram,
  fits,
  listenerProgram,
  type DoorSettings,
} from './doorRules.js';

const settings: DoorSettings = {
  program: { runDir: '/run/f', stateDir: '/var/f', libvirtUri: 'qemu:///system' },
  ...{ port: 7_071, address: '10.0.0.1' },
  tls: { ca: '/t/ca.pem', cert: '/t/agent.pem', key: '/t/agent.key' },
  files: { fence: '/run/f/bin/fence', door: '/run/f/bin/door' },
};

test('F34: what serves behind the door looks at the same folders as the forced command', () => {
  expect(listenerProgram(settings, { orderTokens: false }).args.join(' ')).toBe(
    '--listen 4 --run-dir /run/f --state-dir /var/f --uri qemu:///system',
  );
  expect(listenerProgram(settings, { orderTokens: true }).args.at(-1)).toBe('--tokens');
});

test('F27: the door has the identity of the agent and leads to that program only', () => {
  expect(doorProgram(settings, 'm').args.join(' ')).toBe(
    '--port 7071 --address 10.0.0.1 --ca /t/ca.pem --cert /t/agent.pem --key /t/agent.key ' +
      '--socket /run/f/fence.sock',
  );
});

describe('F27: which running one may go on', () => {
  const wanted = doorProgram(settings, 'm');
  const found: FoundProgram = {
    ...{ pid: 7, startTime: 70, args: wanted.args, mark: 'm', isInstalled: true },
  };
  test.each<[string, Partial<FoundProgram>, boolean]>([
    ['the same', {}, true],
    ['an older file, or another one', { isInstalled: false }, false],
    ['other TLS files', { mark: 'n' }, false],
    ['another port', { args: wanted.args.with(1, '7072') }, false],
    ['a word less', { args: wanted.args.slice(0, -1) }, false],
    ['a word more', { args: [...wanted.args, '--tokens'] }, false],
  ])('%s: %p', (_why, change, expected) => {
    expect(fits({ ...found, ...change }, wanted)).toBe(expected);
  });
});

test.each<[string, boolean | undefined, string[] | undefined, boolean]>([
  ['the server said yes', true, [], true],
  ['the server said no', false, ['--tokens'], false],
  ['nobody said yet, and one runs that asks', undefined, ['--tokens'], true],
  ['nobody said yet, and one runs that does not', undefined, [], false],
  ['nobody said yet, and none runs', undefined, undefined, true],
])('F29a: %s: tokens are asked for: %p, %p, %p', (_why, wish, args, expected) => {
  const found = args && { pid: 7, startTime: 70, args, mark: '-', isInstalled: true };
  expect(asksForTokens(wish, found)).toBe(expected);
});

test.each<[string | undefined, string[], string]>([
  ['192.0.2.1', ['0.0.0.0'], '192.0.2.1'],
  [undefined, ['0.0.0.0'], '0.0.0.0'],
  [undefined, ['2001:db8::1'], '2001:db8::1'],
  [undefined, ['10.0.0.1', '10.0.0.2'], '::'],
  [undefined, ['localhost'], '::'],
])('where the door listens: %p beside %p is %p', (own, agent, expected) => {
  expect(doorAddress(own, agent)).toBe(expected);
});
