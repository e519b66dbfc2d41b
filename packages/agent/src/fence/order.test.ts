import { describe, expect, test } from '@jest/globals';
import { DomainError, type FenceVm } from '@fenceline/protocol';
import { decodeSource, encodeOrder, encodeSource, type FenceOrder } from './order.js';

const vm = (vmUuid: string, disks: FenceVm['disks'] = []): FenceVm => ({
  vmUuid,
  fenceEpoch: 7,
  disks,
});
const order = (vms: FenceVm[]): FenceOrder => ({
  mode: 'fence',
  nonce: '00112233445566778899aabbccddeeff',
  hostUuid: 'AAAAAAAA-2222-3333-4444-555555555555',
  deadlineMs: 19_700.4,
  killGraceMs: 300,
  vms,
});
const ONE = '11111111-2222-3333-4444-555555555555';

describe('the order as lines', () => {
  test('F18: one line for each VM, uuids in one spelling, disks once', () => {
    const disk = { kind: 'file', source: '/srv/a b.img' } as const;
    expect(encodeOrder(order([vm(ONE.replaceAll('-', '').toUpperCase(), [disk, disk])]))).toEqual([
      'fenceline-peer 1',
      'fence 00112233445566778899aabbccddeeff token=- deadline_ms=19700 vms=1 grace_ms=300' +
        ' host=aaaaaaaa-2222-3333-4444-555555555555',
      `vm ${ONE} epoch=7 disk=file:/srv/a%20b.img`,
    ]);
  });

  test('F21a: the order says which disk is written to through io_uring', () => {
    const disks = [
      { kind: 'uring-file', source: '/srv/a' } as const,
      { kind: 'uring-block', source: '/dev/b' } as const,
    ];
    const line = `vm ${ONE} epoch=7 disk=uring-file:/srv/a disk=uring-block:/dev/b`;
    expect(encodeOrder(order([vm(ONE, disks)])).at(-1)).toBe(line);
  });

  test.each([
    [[vm(ONE), vm(ONE.toUpperCase())], 'the same VM in two spellings'],
    [[], 'no VM'],
    [
      Array.from({ length: 501 }, (_, i) => vm(ONE.slice(0, -3) + String(i).padStart(3, '0'))),
      '501',
    ],
    [[vm(ONE, [{ kind: 'file', source: '/x\nvm y' }])], 'a line break in a source'],
    [[vm(ONE, [{ kind: 'file', source: '' }])], 'an empty source'],
    [[vm(ONE, [{ kind: 'file', source: '/x\u0000' }])], 'a NUL in a source'],
  ])('F18: an order that the program would refuse is not sent (%#)', (vms, why) => {
    expect(() => encodeOrder(order(vms))).toThrow(DomainError);
    expect(why).toBeTruthy();
  });

  test.each([
    ['/srv/vm1.img', '/srv/vm1.img', 'plain names stay readable'],
    ['/srv/$(id);`x`', '/srv/%24%28id%29%3B%60x%60', 'nothing that a shell would see'],
    ['/srv/ü', '/srv/%C3%BC', 'UTF-8'],
    ['pool/image@snap', 'pool/image@snap', 'a pool and image'],
    ['/srv/100%', '/srv/100%25', 'the escape itself'],
  ])('F18: %s travels as %s: %s', (source, encoded) => {
    expect(encodeSource(source)).toBe(encoded);
    expect(decodeSource(encoded)).toBe(source);
  });

  test.each(['%', '%zz', '%0A', '', '%C3', '%00'])('%j is no source of ours', (text) => {
    expect(decodeSource(text)).toBeUndefined();
  });
});
