import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseBody } from './body.js';
import { DomainError } from './errors.js';
import {
  FenceVm,
  FenceVmFromPeerCmd,
  FenceVmFromPeerRsp,
  FenceVmsFromPeerCmd,
  MAX_VMS_PER_FENCE,
} from './fence.js';
import { ConnectHostCmd, PingCmd, ScanHostRsp } from './host.js';
import { StartVmCmd, VmSyncRsp } from './vm.js';

const A = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
const B = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb';

const fence = {
  vmUuid: A,
  targetHostUuid: B,
  targetHostIp: '192.0.2.11',
  fenceEpoch: 4,
  disks: [{ kind: 'file', source: '/srv/vm1.img' }],
};

function refusal(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('parseBody', () => {
  test('gives an instance with its nested instances and its defaults', () => {
    const command = parseBody(FenceVmFromPeerCmd, fence);
    expect(command).toBeInstanceOf(FenceVmFromPeerCmd);
    expect(command.disks).toEqual([{ kind: 'file', source: '/srv/vm1.img' }]);
    expect(command).toMatchObject({ targetHostSshPort: 22, sshTimeoutSec: 20, killGraceMs: 300 });
  });

  test('drops unknown fields, also nested ones: a newer sender can talk to an older receiver', () => {
    const command = parseBody(FenceVmFromPeerCmd, {
      ...fence,
      fromTheFuture: 1,
      disks: [{ kind: 'file', source: '/a', alsoNew: true }],
    });
    expect(command).not.toHaveProperty('fromTheFuture');
    expect(command.disks).toEqual([{ kind: 'file', source: '/a' }]);
    expect(parseBody(PingCmd, { anything: 1 })).toEqual({});
  });

  test.each<[object, string, string]>([
    [{ fenceEpoch: undefined }, 'fenceEpoch', 'F35: which run to close is never guessed'],
    [{ disks: undefined }, 'disks', 'F21: no list is not an empty list'],
    [{ vmUuid: 'x' }, 'vmUuid', 'a uuid'],
    [{ targetHostIp: '-oProxyCommand=id' }, 'targetHostIp', 'no option of ssh'],
    [{ targetAddresses: ['192.0.2.1', '$(id)'] }, 'targetAddresses', 'each address'],
    [{ targetAddresses: Array(17).fill('h1') }, 'targetAddresses', 'a bound on addresses'],
    [{ targetHostUsername: '-l root' }, 'targetHostUsername', 'no option as a user'],
    [{ sshTimeoutSec: 301 }, 'sshTimeoutSec', 'F25: the longest whole call'],
    [{ sshTimeoutSec: 0 }, 'sshTimeoutSec', 'F25: and the shortest'],
    [{ disks: [{ kind: 'tape', source: '/a' }] }, 'disks.0.kind', 'a kind that is known'],
    [{ disks: [{ kind: 'file', source: '' }] }, 'disks.0.source', 'a source that says something'],
    [
      { disks: Array.from({ length: 65 }, () => ({ kind: 'file', source: '/a' })) },
      'disks',
      'a bound on disks',
    ],
    [{ controls: [{ hostUuid: B, addresses: [] }] }, 'controls.0.addresses', 'F23: a way to it'],
  ])('%j: %s is named (%s)', (fields, field) => {
    const error = refusal(() => parseBody(FenceVmFromPeerCmd, { ...fence, ...fields }));
    expect(error.code).toBe('BAD_INPUT');
    expect(error.message).toContain(`${field}: `);
  });

  test('F17: at most 500 VMs, at least one', () => {
    const vms = (count: number) => Array.from({ length: count }, () => fenceVm());
    const body = (count: number) => ({ ...fence, vms: vms(count) });
    expect(parseBody(FenceVmsFromPeerCmd, body(MAX_VMS_PER_FENCE)).vms).toHaveLength(500);
    for (const count of [0, MAX_VMS_PER_FENCE + 1])
      expect(refusal(() => parseBody(FenceVmsFromPeerCmd, body(count))).message).toContain('vms');
  });

  test.each([
    ['vms', () => parseBody(VmSyncRsp, { success: true, unattributed: 0 })],
    ['level', () => parseBody(ScanHostRsp, { success: true })],
    ['siblings', () => parseBody(ConnectHostCmd, { hostUuid: A, serverUuid: B })],
    ['epoch', () => parseBody(StartVmCmd, { vmUuid: A, domainXml: '<x/>', closedRuns: [] })],
    ['closedRuns', () => parseBody(StartVmCmd, { vmUuid: A, domainXml: '<x/>', epoch: 1 })],
  ])('an absent %s is never read as "none"', (field, work) => {
    expect(refusal(work).message).toContain(`${field}: `);
  });

  test.each(['fenceEpoch', 'disks'])('an absent %s of one VM of many is named', (field) => {
    const vm: object = { ...fenceVm(), [field]: undefined };
    const error = refusal(() => parseBody(FenceVmsFromPeerCmd, { ...fence, vms: [vm] }));
    expect(error.message).toContain(`vms.0.${field}: `);
  });

  test('what is no number or no list has one sentence, with the whole range, and no class of ours', () => {
    const bad = { ...fence, sshTimeoutSec: 'abc', targetAddresses: 'h1' };
    expect(
      refusal(() => parseBody(FenceVmFromPeerCmd, bad))
        .message.split('; ')
        .sort(),
    ).toEqual([
      'sshTimeoutSec: sshTimeoutSec must be a whole number from 1 to 300',
      'targetAddresses: targetAddresses must be a list',
    ]);
    for (const body of [bad, null, [], { constructor: 'x' }])
      expect(refusal(() => parseBody(FenceVmFromPeerCmd, body)).message).not.toContain('Cmd');
  });

  test('the message never repeats a value: it may be secret', () => {
    const canary = 'hunter2-canary';
    const bad = {
      vmUuid: canary,
      targetHostIp: `${canary} `,
      fenceEpoch: canary,
      targetHostKeys: [{ canary }],
      disks: [{ kind: canary, source: { canary } }],
      controls: canary,
    };
    expect(refusal(() => parseBody(FenceVmFromPeerCmd, bad)).message).not.toContain(canary);
  });

  test.each<[unknown, string]>([
    [null, 'null'],
    [undefined, 'no body at all'],
    ['text', 'a text'],
    [[fence], 'a list'],
    [7, 'a number'],
  ])('%j is no body: %s', (json) => {
    expect(refusal(() => parseBody(PingCmd, json)).code).toBe('BAD_INPUT');
  });

  test.each([
    ['{"vmUuid": {"constructor": "Object"}}', 'a constructor that is a text'],
    ['{"__proto__": {"vmUuid": "x"}, "constructor": {"prototype": {"polluted": 1}}}', 'prototypes'],
    ['{"disks": {"__proto__": [], "length": 9}}', 'something like a list'],
    [`{"vmUuid": ${'['.repeat(20_000)}${']'.repeat(20_000)}}`, 'nesting without end'],
  ])('hostile JSON is bad input, never a crash: %#', (text) => {
    const json: unknown = JSON.parse(text);
    expect(refusal(() => parseBody(FenceVmFromPeerCmd, json)).code).toBe('BAD_INPUT');
    expect({}).not.toHaveProperty('polluted');
  });

  test('whatever arrives, the answer is an instance or BAD_INPUT', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.constantFrom(...Object.keys(fence)),
        (v, key) => {
          try {
            parseBody(FenceVmFromPeerCmd, { ...fence, [key]: v });
          } catch (error) {
            expect(error).toBeInstanceOf(DomainError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('what was read travels and is read again as the same', () => {
    const once = parseBody(FenceVmFromPeerRsp, {
      success: true,
      qemuConfirmedDead: true,
      outcome: 'confirmedDead',
      killed: [{ pid: 7, startTime: 9, epoch: null }],
      disks: [{ source: '/a', drained: 'direct' }],
    });
    const again = parseBody(FenceVmFromPeerRsp, JSON.parse(JSON.stringify(once)));
    expect(again).toEqual(once);
    expect(again.killed[0]?.epoch).toBeNull();
  });
});

function fenceVm(): object {
  return Object.assign(new FenceVm(), { vmUuid: A, fenceEpoch: 1, disks: [] });
}
