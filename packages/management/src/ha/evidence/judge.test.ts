import { describe, expect, test } from '@jest/globals';
import { judge, type Inputs } from './judge.js';
import { evidenceMatrix, fittingRow, type Evidence } from './matrix.js';

const down: Evidence = {
  link: 'down',
  boot: 'same',
  wasSuspect: true,
  atSibling: 'nothing',
  storageHeartbeat: 'none',
};
const up: Evidence = { ...down, link: 'up', wasSuspect: false, atSibling: 'unseen' };

const inputs: Inputs = {
  evidence: down,
  hostState: 'Enabled',
  ownNetworkFirst: false,
  mode: 'active',
  withoutHeartbeat: 'fence',
  lastHeardAgeMs: 60_000,
  silentAfterMs: 3_000,
  allowedChannels: ['peer', 'own-agent', 'power'],
};

const rows: [Partial<Evidence>, string, string, string[], string, string[]][] = [
  // evidence                               row        alarm policy → action, channels   fence policy → action, channels
  [{ ...up }, 'healthy', 'none', [], 'none', []],
  [{ ...up, wasSuspect: true }, 'back-in-time', 'cancel', [], 'cancel', []],
  [{ ...up, boot: 'new' }, 'rebooted', 'closeRebooted', [], 'closeRebooted', []],
  [{ ...up, boot: 'new', wasSuspect: true }, 'rebooted', 'closeRebooted', [], 'closeRebooted', []],
  [{ atSibling: 'agent' }, 'isolated', 'alarm', [], 'alarm', []],
  [{ atSibling: 'agent', storageHeartbeat: 'down' }, 'isolated', 'alarm', [], 'alarm', []],
  [
    { atSibling: 'kernel' },
    'agent-silent-kernel-answers',
    'alarm',
    [],
    'fence',
    ['peer', 'own-agent'],
  ],
  [
    { atSibling: 'nothing' },
    'nothing-answers',
    'alarm',
    [],
    'fence',
    ['peer', 'own-agent', 'power'],
  ],
  [
    { atSibling: 'nothing', storageHeartbeat: 'unknown' },
    'nothing-answers',
    'alarm',
    [],
    'fence',
    ['peer', 'own-agent', 'power'],
  ],
  [{ atSibling: 'unseen' }, 'nobody-could-look', 'alarm', [], 'alarm', []],
];

describe('D6: the first fitting row decides', () => {
  test.each(rows)('D6: %j is %s', (change, row, alarmAction, alarmChannels, ...fence) => {
    const evidence = { ...down, ...change };
    const alarm = judge({ ...inputs, evidence, withoutHeartbeat: 'alarm' });
    expect(alarm).toMatchObject({ row, action: alarmAction, channels: alarmChannels });
    const [fenceAction, fenceChannels] = fence;
    expect(judge({ ...inputs, evidence })).toMatchObject({
      row,
      action: fenceAction,
      channels: fenceChannels,
    });
  });

  test('D6: every row has a case here', () => {
    expect(new Set(rows.map(([, row]) => row))).toEqual(
      new Set(evidenceMatrix.map(({ name }) => name)),
    );
  });

  test('a hole in the matrix is an error, never a quiet default', () => {
    expect(() => fittingRow({ ...down, storageHeartbeat: 'up' })).toThrow(/no row fits/);
  });
});

const capped: [Partial<Inputs>, string, string][] = [
  [{ mode: 'detect-only' }, 'alarm', 'HA watches only'],
  [{ mode: 'disarmed' }, 'alarm', 'HA is off'],
  [{ ownNetworkFirst: true }, 'alarm', 'D3: all fell silent together'],
  [{ lastHeardAgeMs: 500 }, 'fence', 'nothing of it answers: no agent is restarting there'],
  [{ lastHeardAgeMs: 2_999, evidence: { ...down, atSibling: 'kernel' } }, 'none', 'a restart'],
  [{ lastHeardAgeMs: 3_000, evidence: { ...down, atSibling: 'kernel' } }, 'fence', 'no restart'],
  [{ hostState: 'Disabled' }, 'fence', 'no new VMs there; those that run stay guarded'],
  [{ hostState: 'Maintenance' }, 'none', 'somebody works on it'],
  [{ hostState: 'PreMaintenance' }, 'fence', 'its VMs have not left yet'],
  [{ mode: 'disarmed', evidence: { ...up, boot: 'new' } }, 'alarm', 'no starts while HA is off'],
  [
    { mode: 'disarmed', evidence: { ...up, wasSuspect: true } },
    'cancel',
    'calling off is harmless',
  ],
  [
    { hostState: 'Maintenance', evidence: { ...up, boot: 'new' } },
    'closeRebooted',
    'a reboot proves that its old runs are over',
  ],
  [{ ownNetworkFirst: true, evidence: { ...up, boot: 'new' } }, 'closeRebooted', 'it answers'],
];
test.each(capped)('%j ends in %s: %s', (change, action) => {
  expect(judge({ ...inputs, ...change }).action).toBe(action);
});

test('channels come in the order of the settings, and only those that are allowed', () => {
  const allowedChannels = ['power', 'peer'] as const;
  expect(judge({ ...inputs, allowedChannels }).channels).toEqual(['power', 'peer']);
  const kernel = { ...down, atSibling: 'kernel' as const };
  expect(judge({ ...inputs, allowedChannels, evidence: kernel }).channels).toEqual(['peer']);
});
