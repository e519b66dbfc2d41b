import { expect, test } from '@jest/globals';
import { judgeScan, type ScanAttempt } from './judgeScan.js';

const H1 = '11111111-2222-4333-8444-555555555555';
const H2 = '21111111-2222-4333-8444-555555555555';
const agent: ScanAttempt = { echoes: [H1.replaceAll('-', '')], signs: [] };
const kernel: ScanAttempt = { echoes: [], signs: ['10.0.0.1 tcp:22 refused'] };
const stranger: ScanAttempt = { echoes: [H2], signs: [] };
const unnamed: ScanAttempt = { echoes: [undefined], signs: [] };
const nothing: ScanAttempt = { echoes: [], signs: [] };

test.each([
  // attempts              level      unstable why
  [[agent], 'agent', false, 'the agent echoes'],
  [[nothing, agent], 'agent', true, 'some attempts answered and some did not'],
  [[kernel, kernel], 'kernel', false, 'only sshd or the kernel'],
  [[nothing, kernel], 'kernel', true, 'one sign of life is enough for kernel'],
  [[nothing, nothing], 'nothing', false, 'silence'],
  [[stranger], 'kernel', false, 'another host at its address: not the agent, yet not silence'],
  [[unnamed], 'kernel', false, 'an agent that nobody has connected'],
  [[], 'nothing', false, 'no attempt was possible'],
] as const)('D4: %j is %s, unstable %s: %s', (attempts, level, unstable, _why) => {
  expect(judgeScan(H1, attempts)).toMatchObject({ level, unstable });
});

test('D4: signs of life are told once each', () => {
  expect(judgeScan(H1, [kernel, kernel]).signsOfLife).toEqual(['10.0.0.1 tcp:22 refused']);
});
