import { expect, test } from '@jest/globals';
import { parseFault } from './faults.js';

test.each([
  ['ssh-drop', { kind: 'ssh', mode: 'drop' }],
  ['ssh-unreach', { kind: 'ssh', mode: 'unreach' }],
  ['mute', { kind: 'ssh', mode: 'mute' }],
  ['sshd-hang', { kind: 'ssh', mode: 'hang' }],
  ['stor-cut', { kind: 'net', net: 'storage', cut: true }],
  ['thaw', { kind: 'freeze', frozen: false }],
  ['slow 5', { kind: 'slow', percent: 5 }],
  ['fast', { kind: 'slow' }],
  ['pids 0', { kind: 'pids', room: 0 }],
  ['memory-full', { kind: 'memory', full: true }],
  ['memory-ok', { kind: 'memory', full: false }],
  ['storage rohang', { kind: 'storage', fault: { mode: 'rohang' } }],
  ['storage slow 200', { kind: 'storage', fault: { mode: 'slow', ms: 200 } }],
  ['libvirtd-stop', { kind: 'libvirtd', mode: 'stop' }],
  ['service agent kill', { kind: 'service', name: 'agent', mode: 'kill' }],
  ['crash', { kind: 'power', on: false }],
  ['clear', { kind: 'clear' }],
] as const)('%s is understood', (text, fault) => {
  expect(parseFault(text.split(' '))).toEqual(fault);
});

test.each([
  ['', 'nothing'],
  ['freeze now', 'a word too many'],
  ['slow', 'no number'],
  ['slow -1', 'no number from 0 on'],
  ['slow 1.5', 'no whole number'],
  ['storage', 'no mode'],
  ['storage slow', 'no time'],
  ['storage slow 60001', 'too long'],
  ['storage ok now', 'a word too many'],
  ['service a/b kill', 'no service name'],
  ['toString', 'a name that objects have anyway'],
])('"%s" is refused: %s', (text) => {
  expect(() => parseFault(text.split(' '))).toThrow();
});
