import { expect, test } from '@jest/globals';
import { DomainError } from '@fenceline/protocol';
import { decideStart, type StartFacts } from './startRules.js';

const VM = '11111111-2222-4333-8444-555555555555';
const seeded = { hostUuid: VM, seeded: true };
const facts: StartFacts = {
  vmUuid: VM,
  epoch: 5,
  identity: seeded,
  barrier: undefined,
  began: undefined,
  living: [],
  activeInLibvirt: false,
  grant: undefined,
};

function decide(changes: Partial<StartFacts>): string {
  try {
    return decideStart({ ...facts, ...changes });
  } catch (error) {
    return error instanceof DomainError ? error.code : 'bug';
  }
}

const grant = { epoch: 4, pid: 7, alive: true };
const living = [{ pid: 7, epoch: 4 }];

test.each([
  // what holds                                 decision       why
  [{}, 'start', 'a host that knows nothing against it'],
  [{ barrier: 4, began: 4 }, 'start', 'everything before is closed'],
  [{ barrier: 5 }, 'STALE_EPOCH', 'F34: closed up to and including the barrier'],
  [{ barrier: 6 }, 'STALE_EPOCH', 'F34: a barrier above it'],
  [{ barrier: 5, began: 5 }, 'STALE_EPOCH', 'a repeat of a closed run is stale, not a repeat'],
  [{ began: 6 }, 'STALE_EPOCH', 'F11: a higher epoch began'],
  [{ began: 5 }, 'repeat', 'F11: each epoch starts at most once'],
  [{ began: 5, living: [{ pid: 7, epoch: 5 }] }, 'repeat', 'a repeat answers what runs'],
  [{ began: 5, grant }, 'repeat', 'a repeat while the first one is under way'],
  [{ living }, 'CONFLICT', 'a qemu of an older run lives'],
  [{ living: [{ pid: 7, epoch: null }] }, 'CONFLICT', 'a qemu without a mark lives'],
  [{ activeInLibvirt: true }, 'CONFLICT', 'libvirt is at it'],
  [{ grant }, 'CONFLICT', 'F34: an earlier start has not ended; its grant must stay'],
  [{ grant: { ...grant, alive: false } }, 'CONFLICT', 'F34: nobody heard how it ended'],
  [{ identity: { hostUuid: VM, seeded: false } }, 'REFUSED', 'F11: its past was lost'],
  [{ identity: { hostUuid: undefined, seeded: false } }, 'REFUSED', 'never connected'],
] as const)('F11: with %j a start of epoch 5 is %s: %s', (changes, expected, _why) => {
  expect(decide(changes)).toBe(expected);
});
