import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { START_GATE } from './startGate.js';

test.each([
  // standard input   prints    why
  ['go\n', 'started', 'the agent said go'],
  ['', '', 'F34: the agent died before its go, the pipe ended'],
  ['go', '', 'F34: the agent died in the middle of its go'],
  ['stop\n', '', 'another word'],
] as const)('a start behind its gate, given %j, prints %j: %s', async (input, expected, _why) => {
  const child = spawn('/bin/sh', ['-c', START_GATE, 'gate', 'printf', '%s', 'started']);
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stdin.end(input);
  await once(child, 'close');
  expect(printed).toBe(expected);
});

test('F18: what is started is data, never shell', async () => {
  const child = spawn('/bin/sh', ['-c', START_GATE, 'gate', 'printf', '%s', '$(id); `id` && id']);
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stdin.end('go\n');
  await once(child, 'close');
  expect(printed).toBe('$(id); `id` && id');
});
