import { describe, expect, test } from '@jest/globals';
import { DestroyVmRsp, FenceVerdict } from '@fenceline/protocol';
import type { PeerEvidence } from '../../messages/types.js';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, type Judged } from '../proof.js';
import { proofByAgent } from './byAgent.js';
import { proofByBoot } from './byBoot.js';
import { proofByOperator } from './byOperator.js';
import { proofByPeer } from './byPeer.js';
import { proofByPower, type DeviceReading, type PowerReading } from './byPower.js';

const run: Run = {
  vmUuid: 'vm',
  epoch: 4,
  hostUuid: 'h1',
  bootId: 'boot-a',
  mark: 1,
  pidNamespace: 'pid:[1]',
  state: 'running',
  openedAt: '',
  closedAt: null,
  proofUuid: null,
};
const disks = [{ source: '/a' }, { source: '/b' }];

const evidence: PeerEvidence = {
  peerHostUuid: 'h2',
  success: true,
  qemuConfirmedDead: true,
  qemuStillAlive: false,
  targetHostUnreachable: false,
  outcome: 'confirmedDead',
  hostUuid: 'h1',
  bootId: 'boot-a',
  pidNamespace: 'pid:[1]',
  barrier: 'disk',
  disks: [
    { source: '/a', drained: 'synced' },
    { source: '/b', drained: 'direct' },
  ],
  killed: [],
};

const kindOf = (judged: Judged): string =>
  'proof' in judged ? judged.proof.claim.kind : `refused: ${judged.refused}`;

describe('what a peer proves', () => {
  test('F22: a complete record is peerConfirmedDead', () => {
    expect(kindOf(proofByPeer(run, evidence, disks))).toBe('peerConfirmedDead');
  });

  test('another boot than the run had: the run ended with it (hostRebooted)', () => {
    expect(kindOf(proofByPeer(run, { ...evidence, bootId: 'boot-b' }, disks))).toBe('hostRebooted');
  });

  test.each([
    ['F24', { qemuConfirmedDead: false }, 'ambiguous', 'nothing is true'],
    ['F24', { targetHostUnreachable: true }, 'ambiguous', 'two are true'],
    ['F24', { success: false }, 'ambiguous', 'success must be true'],
    ['F24', { success: undefined }, 'ambiguous', 'success must be present'],
    ['F21', { qemuStillAlive: true }, 'alive', 'alive wins over dead'],
    ['F22', { hostUuid: 'h9' }, 'not h1', 'a wrong machine behind the address'],
    ['F22', { hostUuid: undefined }, 'names host none', 'nobody says who answered'],
    ['F22', { bootId: undefined }, 'no boot', 'a boot must be named'],
    ['F22', { bootId: '' }, 'no boot', 'an empty boot is none'],
    ['F22', { pidNamespace: 'pid:[9]' }, 'in pid namespace pid:[9]', 'the view of a container'],
    ['F22', { pidNamespace: undefined }, 'no pid namespace', 'a container sees too little'],
    ['F34', { barrier: undefined }, 'no barrier', 'a start may slip in after the look'],
    ['F34', { barrier: 'maybe' }, 'no barrier', 'only disk and memory are barriers'],
    ['F21a', { disks: [] }, '/a is not drained', 'a disk that nobody speaks of'],
    ['F21a', { disks: evidence.disks.slice(0, 1) }, '/b is not drained', 'one of two'],
    ['F21a', { disks: [...evidence.disks, { source: '/b', drained: 'no' }] }, '/b', 'said twice'],
    ['F21a', { disks: [{ source: '/a', drained: 'sure' }] }, '/a', 'an unknown word'],
  ])('%s: %j is no proof (%s: %s)', (_rule, change, why, _because) => {
    const judged = proofByPeer(run, { ...evidence, ...change } as PeerEvidence, disks);
    expect(kindOf(judged)).toContain('refused');
    expect(kindOf(judged)).toContain(why);
  });
});

describe("what the host's own agent proves", () => {
  function answer(change: Partial<DestroyVmRsp> = {}, verdict: object = {}): DestroyVmRsp {
    const { peerHostUuid: _peer, success: _success, ...said } = evidence;
    return Object.assign(new DestroyVmRsp(), {
      success: true,
      hostUuid: 'h1',
      bootId: 'boot-a',
      pidNamespace: 'pid:[1]',
      highestBegan: 4,
      beganKnown: true,
      verdict: Object.assign(new FenceVerdict(), said, verdict),
      ...change,
    });
  }
  const ask = { run, vmDisks: disks, stop: false };

  test.each([
    [{}, false, 'vmNotRunning', 'it began here and is over'],
    [{}, true, 'cleanStop', 'a person asked for it'],
    [{ highestBegan: 3 }, false, 'neverBegan', 'this epoch never started here'],
    [{ highestBegan: null }, false, 'neverBegan', 'nothing ever started here'],
    [{ highestBegan: 3, beganKnown: false }, false, 'vmNotRunning', 'the record is not readable'],
    [{ bootId: 'boot-b' }, false, 'hostRebooted', 'its boot is over'],
  ])('%j, stop %s: %s (%s)', (change, stop, kind, _because) => {
    expect(kindOf(proofByAgent({ ...ask, answer: answer(change), stop }))).toBe(kind);
  });

  test.each([
    [{ verdict: undefined as never }, {}, 'no verdict'],
    [{ success: false }, {}, 'ambiguous'],
    [{ hostUuid: 'h2' }, {}, 'not h1'],
    [{ highestBegan: null }, { barrier: undefined }, 'no barrier'],
    [{ highestBegan: null }, { qemuStillAlive: true }, 'alive'],
    [{}, { disks: [] }, 'not drained'],
  ])('F34: %j %j is no proof: %s', (change, verdict, why) => {
    const judged = proofByAgent({ ...ask, answer: answer(change, verdict) });
    expect(kindOf(judged)).toContain(why);
  });
});

describe('what power devices prove', () => {
  const device: DeviceReading = {
    agent: 'fence_x',
    verifiedAt: '2026-01-01T00:00:00.000Z',
    offAcknowledged: true,
    offSentAtMs: 1_000,
    firstOffAtMs: 1_500,
    readBack: 'off',
    readBackAtMs: 1_500,
  };
  const reading: PowerReading = { level: 1, devices: [device], lastSignOfLifeMs: 500 };
  const first = { ...device, readBackAtMs: 2_600 };
  const second = { ...device, offSentAtMs: 2_000, firstOffAtMs: 2_500, readBackAtMs: 2_700 };
  const dual: PowerReading = { ...reading, devices: [first, second] };
  const judged = (devices: readonly DeviceReading[]) =>
    kindOf(proofByPower(run, { ...reading, devices }));

  test('powerOff: off, read back as off afterwards', () => {
    expect(kindOf(proofByPower(run, reading))).toBe('powerOff');
  });

  test('powerOff: every feed off at one moment, each with its reading times', () => {
    const proven = proofByPower(run, dual);
    expect(kindOf(proven)).toBe('powerOff');
    expect('proof' in proven && proven.proof.claim).toMatchObject({
      source: 'power:fence_x+fence_x',
      facts: {
        level: 1,
        devices: [
          { offSentAfterMs: 0, firstOffAfterMs: 500, readBackAfterMs: 1_600, readBack: 'off' },
          { offSentAfterMs: 1_000, firstOffAfterMs: 1_500, readBackAfterMs: 1_700 },
        ],
        lastSignOfLifeAfterMs: -500,
      },
    });
  });

  test('powerOff: a device that rejects "off" for a host already off proves it by reading', () => {
    expect(judged([{ ...device, offAcknowledged: false }])).toBe('powerOff');
  });

  test.each<[string, DeviceReading[], string]>([
    ['none', [], 'all of none is no reading'],
    ['reads on', [{ ...device, readBack: 'on' }], 'an acknowledged off that reads on'],
    ['unread', [{ ...device, readBack: 'unknown' }], 'an unread state is not off'],
    ['unverified', [{ ...device, verifiedAt: null }], 'the mapping was never confirmed'],
    ['early', [{ ...device, readBackAtMs: 900 }], 'read before it was sent'],
    ['never off', [{ ...device, firstOffAtMs: undefined }], 'no reading said off'],
    ['one on', [first, { ...second, readBack: 'on' }], 'one of two feeds is left'],
    ['came back', [{ ...first, readBack: 'on' }, second], 'the first one reads on again'],
    ['one unverified', [first, { ...second, verifiedAt: null }], 'the second may be another host'],
    ['not again', [device, second], 'the first one was not read after the second was off'],
  ])('powerOff: %s is no proof: %3$s', (_name, devices, _because) => {
    expect(judged(devices)).toContain('refused');
  });

  test('powerOff: a host that acts after "off" is another host', () => {
    for (const lastSignOfLifeMs of [1_200, 1_000.4])
      expect(kindOf(proofByPower(run, { ...reading, lastSignOfLifeMs }))).toContain('sign of life');
  });
});

describe("what a person's word proves", () => {
  const word = {
    operator: 'ann',
    reason: 'pulled the plug',
    typedName: 'h1',
    hostName: 'h1',
    silentForMs: 120_000,
    requiredSilenceMs: 120_000,
    expiresAfterSec: 600,
    lookedAtMs: 0,
  };

  test('a silent host, its typed name and a reason', () => {
    expect(kindOf(proofByOperator(run, word))).toBe('operatorConfirmed');
  });

  test.each([
    [{ silentForMs: 119_999 }, 'it acted too recently'],
    [{ typedName: 'h2' }, 'another name was typed'],
    [{ reason: '  ' }, 'no reason'],
  ])('%j is refused: %s', (change, _because) => {
    expect(kindOf(proofByOperator(run, { ...word, ...change }))).toContain('refused');
  });
});

describe('what an answer under another boot proves', () => {
  const answer = { hostUuid: 'h1', bootId: 'boot-b' };

  test('hostRebooted: no process outlives its kernel', () => {
    expect(kindOf(proofByBoot(run, answer))).toBe('hostRebooted');
  });

  test.each([
    [{ bootId: 'boot-a' }, 'under the boot of the run', 'it may run'],
    [{ bootId: '' }, 'no boot', 'an empty boot is none'],
    [{ bootId: null }, 'no boot', 'a boot must be named'],
    [{ hostUuid: 'h9' }, 'not h1', 'a wrong machine behind the address'],
    [{ hostUuid: null }, 'names host none', 'a new agent, perhaps of another machine'],
  ])('hostRebooted: %j is no proof (%s: %s)', (change, why, _because) => {
    expect(kindOf(proofByBoot(run, { ...answer, ...change }))).toContain(why);
  });
});

test('no proof can be made outside the rules of fencing', () => {
  expect(() => new FenceProof({ name: 'mine' }, { kind: 'powerOff' } as never)).toThrow(
    'only be made by the rules',
  );
});
