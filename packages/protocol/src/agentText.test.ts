import { describe, expect, test } from '@jest/globals';
import { FenceVm, FenceVmFromPeerCmd } from './fence.js';
import { FenceNeighbour } from './fenceLine.js';
import { ProtectedVm } from './hook.js';
import {
  ConnectHostRsp,
  FactsRsp,
  FenceKeyCmd,
  FenceKeyRsp,
  KnownRun,
  SiblingKey,
} from './host.js';
import { checkBody, type BodyClass } from './body.js';
import { VmDomainRsp, VmSeen } from './vm.js';

const VM = 'a0000000-0000-4000-8000-000000000001';

/** Whether a body takes this value of a field, whatever else is wrong with it. */
function takes<T extends object>(type: BodyClass<T>, field: keyof T & string, value: unknown) {
  const { problems } = checkBody(type, { [field]: value });
  return !problems.some((problem) => problem.split(/[:.]/)[0] === field);
}

const key = (chars: number): string => `ssh-ed25519 ${'A'.repeat(chars)}`;

describe('what an agent tells and others are sent has one rule at both ends', () => {
  test.each([key(68), key(10), 'bad', `${key(68)}\n`, `${key(68)} comment`, '', null, 7])(
    'F29: fence key %j',
    (value) => {
      const told = [
        takes(ConnectHostRsp, 'fencePublicKey', value),
        takes(FenceKeyRsp, 'fencePublicKey', value),
      ];
      const sent = takes(SiblingKey, 'fencePublicKey', value);
      expect(told).toEqual([sent, sent]);
      expect(sent).toBe(value === key(68));
      if (value !== null) expect(takes(FenceKeyCmd, 'fencePublicKey', value)).toBe(sent);
    },
  );

  test.each([
    [[key(68), 'ecdsa-sha2-nistp256 AAAA= root@h1'], true],
    [[key(2_037)], false],
    [['AAAA'], false],
    [[`${key(68)}\n`], false],
    [[`${key(68)} a\u0007`], false],
    [Array.from({ length: 17 }, () => key(68)), false],
    ['ssh-ed25519 AAAA', false],
  ])('F22: host keys %j', (value, fine) => {
    expect([
      takes(ConnectHostRsp, 'sshHostKeys', value),
      takes(FactsRsp, 'sshHostKeys', value),
      takes(FenceNeighbour, 'hostKeys', value),
      takes(FenceVmFromPeerCmd, 'targetHostKeys', value),
    ]).toEqual([fine, fine, fine, fine]);
  });

  test.each([
    ['/srv/web 1.img', true],
    ['rbd/ü', true],
    ['/srv/a\nb', false],
    ['/srv/a\u007F', false],
    ['', false],
    ['x'.repeat(1_025), false],
  ])('F18: disk %j', (source, fine) => {
    const disks = [{ kind: 'file', source }];
    expect([
      takes(VmDomainRsp, 'disks', disks),
      takes(FenceVm, 'disks', disks),
      takes(ProtectedVm, 'disks', disks),
    ]).toEqual([fine, fine, fine]);
  });

  test('F35: a mark leaves room for the epochs of the runs after it', () => {
    expect(takes(VmSeen, 'epoch', 2 ** 47)).toBe(true);
    expect(takes(VmSeen, 'epoch', null)).toBe(true);
    for (const mark of [2 ** 47 + 1, 2 ** 48, -1, 1.5])
      expect([mark, takes(VmSeen, 'epoch', mark)]).toEqual([mark, false]);
    expect(takes(KnownRun, 'epoch', 2 ** 47 + 1)).toBe(true);
  });

  test('a VM has one spelling of its uuid, however a host spells it', () => {
    for (const vmUuid of [VM.toUpperCase(), VM.replaceAll('-', '')])
      expect(checkBody(VmSeen, { vmUuid }).body.vmUuid).toBe(VM);
    expect(checkBody(VmSeen, { vmUuid: 'x' }).problems).not.toEqual([]);
  });
});
