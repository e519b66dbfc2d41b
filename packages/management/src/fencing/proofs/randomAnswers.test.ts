import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FenceVmFromPeerRsp, parseBody } from '@fenceline/protocol';
import type { Run } from '../../vms/runs/run.js';
import { evidenceOf } from '../peerAnswer.js';
import { proofByPeer } from './byPeer.js';

const HOST = '0a000000-0000-4000-8000-000000000001';
const VM = '11111111-2222-4333-8444-555555555555';
const run = {
  ...{ vmUuid: VM, epoch: 7, hostUuid: HOST, bootId: 'boot-1', mark: 7, pidNamespace: '1' },
  ...{ state: 'running', openedAt: '', closedAt: null, proofUuid: null },
} as Run;
const disks = [{ source: '/d/1' }, { source: 'pool/2' }];
const odd = <T>(good: T): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<unknown>(good) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<unknown>(true, false, null, undefined, 'true', 1, 0, {}, [], ''),
    },
  );
const drained = fc.record({
  source: fc.constantFrom('/d/1', 'pool/2', '/d/3'),
  drained: fc.constantFrom<unknown>('direct', 'synced', 'unmounted', 'synced', 'no', 'yes', true),
});
const answers = fc.record({
  success: odd(true),
  outcome: fc.constantFrom(
    'confirmedDead',
    'nothingFound',
    'stillAlive',
    'unreachable',
    'deadline',
  ),
  qemuConfirmedDead: odd(true),
  qemuStillAlive: odd(false),
  targetHostUnreachable: odd(undefined),
  hostUuid: odd(HOST),
  bootId: fc.oneof(odd('boot-1'), fc.constant('boot-2')),
  pidNamespace: odd('1'),
  barrier: odd('disk'),
  disks: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constant<unknown>([
        { source: '/d/1', drained: 'synced' },
        { source: 'pool/2', drained: 'direct' },
      ]),
    },
    { weight: 1, arbitrary: fc.array(drained, { maxLength: 4 }) },
  ),
});

/** The first row of the table and a complete record, said again without the code of either. */
function allowed(answer: Record<string, unknown>): boolean {
  const absent = (value: unknown): boolean =>
    value === false || value === null || value === undefined;
  const list = answer['disks'] as { source: string; drained: unknown }[];
  const settled = (source: string): boolean => {
    const of = list.filter((disk) => disk.source === source).map((disk) => String(disk.drained));
    return of.length > 0 && of.every((word) => ['direct', 'synced', 'unmounted'].includes(word));
  };
  return (
    answer['success'] === true &&
    answer['qemuConfirmedDead'] === true &&
    absent(answer['qemuStillAlive']) &&
    absent(answer['targetHostUnreachable']) &&
    answer['hostUuid'] === HOST &&
    typeof answer['bootId'] === 'string' &&
    answer['bootId'] !== '' &&
    (answer['bootId'] !== 'boot-1' || answer['pidNamespace'] === '1') &&
    typeof answer['pidNamespace'] === 'string' &&
    answer['pidNamespace'] !== '' &&
    ['disk', 'memory'].includes(String(answer['barrier'])) &&
    disks.every(({ source }) => settled(source))
  );
}

test('F24, F21a, F22: random answers over the wire: a proof only if exactly the one row allows it', () => {
  const counts = { proofs: 0, refused: 0 };
  fc.assert(
    fc.property(answers, (answer) => {
      let proven = false;
      try {
        const body: unknown = JSON.parse(JSON.stringify(answer));
        const rsp = parseBody(FenceVmFromPeerRsp, body);
        proven = 'proof' in proofByPeer(run, evidenceOf(VM, rsp, rsp), disks);
      } catch {
        // An answer that can't be read is none.
      }
      expect([answer, proven]).toEqual([answer, allowed(answer) && proven]);
      counts[proven ? 'proofs' : 'refused'] += 1;
    }),
    { seed: 5, numRuns: 8_000 },
  );
  expect(Math.min(counts.proofs, counts.refused)).toBeGreaterThan(1_000);
});
