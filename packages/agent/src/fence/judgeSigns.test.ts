import { describe, expect, test } from '@jest/globals';
import { judgeSigns } from './judgeSigns.js';
import type { AddressSigns, TcpSign } from './signsOfLife.js';

const silent = (over: Partial<AddressSigns> = {}): AddressSigns => ({
  address: '192.0.2.1',
  way: { device: 'eth0' },
  tcp: [
    { port: 22, sign: 'silent' },
    { port: 7070, sign: 'silent' },
  ],
  icmp: 'silent',
  neighbour: 'failed',
  ...over,
});
const tcp = (...signs: TcpSign[]): AddressSigns['tcp'] =>
  signs.map((sign, i) => ({ port: i === 0 ? 22 : 7070, sign }));
const control = silent({ address: '192.0.2.9', tcp: tcp('accepted'), neighbour: 'reachable' });
const routed = { device: 'eth0', gateway: '192.0.2.254' };
const routedControl = { ...control, way: routed, neighbour: 'unknown' as const };

describe('F23: signs of life', () => {
  test.each<[string, AddressSigns[], AddressSigns[], string]>([
    ['silence, FAILED entry, control reached', [silent()], [control], 'unreachable'],
    [
      'EHOSTUNREACH with a FAILED entry',
      [silent({ tcp: tcp('hostUnreachable') })],
      [control],
      'unreachable',
    ],
    ['one port accepts', [silent({ tcp: tcp('silent', 'accepted') })], [control], 'alive'],
    [
      'one port refuses: the kernel lives',
      [silent({ tcp: tcp('silent', 'refused') })],
      [control],
      'alive',
    ],
    ['ICMP answers', [silent({ icmp: 'reply' })], [control], 'alive'],
    ['only the neighbour entry answers', [silent({ neighbour: 'reachable' })], [control], 'alive'],
    [
      'a second address lives',
      [silent(), silent({ address: '192.0.2.2', icmp: 'reply' })],
      [control],
      'alive',
    ],
    ['silence, entry says nothing yet', [silent({ neighbour: 'unknown' })], [control], 'ambiguous'],
    [
      'EHOSTUNREACH of a firewall (entry fine)',
      [silent({ tcp: tcp('hostUnreachable'), neighbour: 'unknown' })],
      [control],
      'ambiguous',
    ],
    ['no control reached', [silent()], [silent({ address: '192.0.2.9' })], 'ambiguous'],
    ['no control at all', [silent()], [], 'ambiguous'],
    [
      'control over another net',
      [silent()],
      [{ ...control, way: { device: 'eth1' } }],
      'ambiguous',
    ],
    ['control behind a router, suspect on the link', [silent()], [routedControl], 'ambiguous'],
    [
      'a second net without a control',
      [silent(), silent({ way: { device: 'eth1' } })],
      [control],
      'ambiguous',
    ],
    [
      'ENETUNREACH speaks about the peer',
      [silent({ tcp: tcp('silent', 'netUnreachable') })],
      [control],
      'ambiguous',
    ],
    ['TCP could not be tried', [silent({ tcp: tcp('unknown') })], [control], 'ambiguous'],
    ['no port was tried', [silent({ tcp: [] })], [control], 'ambiguous'],
    ['ICMP could not be tried', [silent({ icmp: 'unknown' })], [control], 'ambiguous'],
    ['the way is not known', [silent({ way: undefined })], [control], 'ambiguous'],
    ['no address', [], [control], 'ambiguous'],
    [
      'behind a router: total silence and a control',
      [silent({ way: routed, neighbour: 'unknown' })],
      [routedControl],
      'unreachable',
    ],
    [
      'behind a router: a router answered for it',
      [silent({ way: routed, tcp: tcp('hostUnreachable') })],
      [routedControl],
      'ambiguous',
    ],
    ['behind a router: the control is not', [silent({ way: routed })], [control], 'ambiguous'],
  ])('F23: %s', (_what, suspect, controls, kind) => {
    expect(judgeSigns(suspect, controls).kind).toBe(kind);
  });

  test('F23: the signs are named', () => {
    const look = silent({ tcp: tcp('refused', 'accepted'), icmp: 'reply', neighbour: 'reachable' });
    expect(judgeSigns([look], [])).toEqual({
      kind: 'alive',
      signs: [
        '192.0.2.1 tcp:22 refused',
        '192.0.2.1 tcp:7070 accepted',
        '192.0.2.1 icmp reply',
        '192.0.2.1 neighbour reachable',
      ],
    });
  });
});
