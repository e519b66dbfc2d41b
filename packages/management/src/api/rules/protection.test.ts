import { describe, expect, test } from '@jest/globals';
import { HaSettings } from '../../settings/settings.js';
import { peersOf, protectionRule, readyProofs, whyNotPeer, type HostFacts } from './protection.js';

const host = (name: string, changes: Partial<HostFacts> = {}): HostFacts => ({
  uuid: name,
  name,
  clusterUuid: 'c1',
  hypervisor: 'KVM',
  status: 'Connected',
  state: 'Enabled',
  liveness: 'online',
  agentVersion: '0.1.0',
  hookWorking: 1,
  hookWhy: '',
  powerUnresolvedSince: null,
  power: 'none',
  ...changes,
});

describe('F12, F15: who can be asked to fence', () => {
  test.each<[Partial<HostFacts>, boolean, string]>([
    [{}, true, 'a healthy sibling'],
    [{ liveness: 'late' }, true, 'one late heartbeat is weather'],
    [{ hypervisor: 'ESX' }, false, 'F4: another hypervisor'],
    [{ status: 'Connecting' }, false, 'not connected'],
    [{ state: 'Disabled' }, false, 'an administrator took it out'],
    [{ liveness: 'suspect' }, false, 'it is suspected itself'],
    [{ agentVersion: '0.0.9' }, false, 'F15: an older agent does not know the route'],
  ])('%j: %j, %s', (changes, can) => {
    const sibling = host('h2', changes);
    expect(whyNotPeer(sibling) === null).toBe(can);
    expect(peersOf(host('h1'), [host('h1'), sibling], false)).toEqual(can ? [sibling] : []);
  });

  test('F13: never the suspect itself; other clusters only if the setting says so', () => {
    const hosts = [host('h1'), host('h9', { clusterUuid: 'c2' })];
    expect(peersOf(host('h1'), hosts, false)).toEqual([]);
    expect(peersOf(host('h1'), hosts, true).map(({ name }) => name)).toEqual(['h9']);
  });
});

describe('D19: which proofs would work if the host vanished now', () => {
  const all = { crossCluster: false, channels: ['peer', 'own-agent', 'power'] as const };
  const sibling = host('h2');
  test.each<
    [HostFacts, HostFacts[], readonly ('peer' | 'own-agent' | 'power')[], string[], string]
  >([
    [host('h1'), [sibling], all.channels, ['peer'], 'a sibling can log in'],
    [host('h1', { power: 'verified' }), [], all.channels, ['power'], 'only its power device'],
    [host('h1', { power: 'unverified' }), [], all.channels, [], 'never seen to switch it'],
    [host('h1', { power: 'verified' }), [sibling], ['own-agent'], [], 'its own agent is gone'],
    [host('h1', { power: 'verified' }), [sibling], ['power'], ['power'], 'no peer channel'],
    [host('h1', { hypervisor: 'ESX' }), [sibling], all.channels, [], 'F4: no peer for others'],
  ])('%#: %j', (suspect, others, channels, expected, why) => {
    const proofs = readyProofs(suspect, [suspect, ...others], { ...all, channels });
    expect({ why, proofs }).toEqual({ why, proofs: expected });
  });
});

describe('protected, or why not', () => {
  const h1 = host('h1', { power: 'verified' });
  const hosts = [h1, host('h2')];
  const vm = {
    level: 'onHostFailure' as const,
    hypervisor: 'KVM',
    stoppedByPerson: false,
    state: 'Running',
    writtenByUring: false,
    host: h1,
  };
  const ha = new HaSettings();
  test.each([
    [vm, hosts, 'active', true, 'peer (while its SSH answers), power'],
    [{ ...vm, level: 'none' as const }, hosts, 'active', false, 'level is none'],
    [
      { ...vm, stoppedByPerson: true },
      ...([hosts, 'active', false, 'a person stopped it, but it is Running'] as const),
    ],
    [
      { ...vm, stoppedByPerson: true, state: 'Stopped', host: undefined },
      ...([hosts, 'active', false, 'a person stopped it'] as const),
    ],
    [{ ...vm, writtenByUring: true }, hosts, 'active', false, 'written by io_uring'],
    [{ ...vm, runsTwice: 'run 1' }, hosts, 'active', false, 'two qemus may write'],
    [vm, hosts, 'disarmed', false, 'ha.mode is disarmed'],
    [vm, hosts, 'detect-only', false, 'ha.mode is detect-only'],
    [{ ...vm, host: undefined }, hosts, 'active', false, 'runs on no host'],
    [{ ...vm, host: host('h1') }, [host('h1')], 'active', false, 'no sibling could fence it'],
    [{ ...vm, host: host('h1', { liveness: 'suspect' }) }, hosts, 'active', false, 'h1 is suspect'],
    [vm, [h1], 'active', false, 'no other host of its cluster'],
    [
      vm,
      [h1, host('h2', { powerUnresolvedSince: '2026-01-01T00:00:00.000Z' })],
      ...(['active', false, 'no other host of its cluster'] as const),
    ],
    [
      { ...vm, host: host('h1', { power: 'verified', hookWorking: 0, hookWhy: 'it is gone' }) },
      hosts,
      'active',
      false,
      'the libvirt hook of h1 does not work: it is gone',
    ],
    [
      { ...vm, host: host('h1', { power: 'verified', hookWorking: null }) },
      hosts,
      'active',
      false,
      'whether the libvirt hook of h1 works is not known',
    ],
  ] as const)('%#', (facts, all, mode, expected, text) => {
    const agentDown = { withoutHeartbeat: 'fence' as const };
    const found = protectionRule(all, { mode, preFence: ha.preFence, agentDown })(facts);
    expect(found).toMatchObject({ protected: expected, text: expect.stringContaining(text) });
  });

  test('not while a silent host only raises an alarm, as it does by default', () => {
    const found = protectionRule(hosts, ha)(vm);
    expect(found.protected).toBe(false);
    expect(found.text).toContain('ha.agentDown.withoutHeartbeat');
  });
});
