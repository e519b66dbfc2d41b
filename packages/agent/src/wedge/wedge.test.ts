import { expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import type { VmSeen } from '@fenceline/protocol';
import { FakeHost, VM } from '../../test/fakeHost.js';
import { makeWedgeGuard } from './wedgeGuard.js';
import { isWedged, type WedgeFacts } from './wedgeRules.js';

const OTHER = '99999999-2222-4333-8444-555555555555';
const status = (head: string, uuid = VM): string =>
  `<!-- -->\n<domstatus ${head}>\n<domain type='qemu'><name>web1</name><uuid>${uuid}</uuid>`;
const STARTING = "state='paused' reason='starting up' pid='0'";
const file = { text: status(STARTING), ageMs: 20_000, version: '1' };
const wedged: WedgeFacts = {
  ...{ vmUuid: VM, name: 'web1', file, daemonAgeMs: 10_000, lookAlikes: 0 },
  ...{ qemus: [{ vmUuid: OTHER, guestName: 'web2' }], startUnderWay: false },
};
const withText = (text: string): Partial<WedgeFacts> => ({ file: { ...file, text } });

test.each<[Partial<WedgeFacts>, boolean, string]>([
  [{}, true, 'a record of another daemon, and nothing behind it'],
  [{ file: undefined }, false, 'no record'],
  [withText(status("state='running' reason='booted' pid='7'")), false, 'it runs'],
  [withText(status("state='paused' reason='starting up' pid='7'")), false, 'it has a process'],
  [withText(status("state='paused' reason='user' pid='0'")), false, 'somebody paused it'],
  [withText(status(STARTING, OTHER)), false, "another VM's record under its name"],
  [withText(''), false, 'half a record'],
  [{ daemonAgeMs: undefined }, false, 'no daemon: the next one reads it first'],
  [{ daemonAgeMs: 20_001 }, false, 'this daemon wrote it: it may be at that start'],
  [{ lookAlikes: 1 }, false, 'a process that may become a qemu'],
  [{ startUnderWay: true }, false, "a start of this agent's"],
  [{ qemus: [{ vmUuid: VM, guestName: undefined }] }, false, 'its qemu lives'],
  [{ qemus: [{ vmUuid: OTHER, guestName: 'web1' }] }, false, 'a qemu of its name'],
  [{ qemus: [{ vmUuid: undefined, guestName: undefined }] }, false, "a qemu that is nobody's"],
])('F34: wedged or not, %j: %s, %s', (change, expected) => {
  expect(isWedged({ ...wedged, ...change })).toBe(expected);
});

function guarded() {
  const host = new FakeHost();
  const known: VmSeen[] = [
    {
      ...{ vmUuid: VM, name: 'web1', state: 'Starting' as const, epoch: null, pid: null },
      ...{ startTime: null, knownToLibvirt: true, hasProcess: false },
    },
  ];
  host.statusFiles.set('web1', file);
  const tracker = { known: () => known, look: () => void host.trace.push('look') };
  const guard = makeWedgeGuard({ ...host.ports(), log: silentLogger, tracker });
  guard.start();
  return { host, guard };
}

test('F34: a wedged record is removed when it stays, and then the daemon is ended', async () => {
  const { host, guard } = guarded();
  await host.clock.advance(1_500);
  expect(host.statusFiles.size).toBe(1);
  await host.clock.advance(2_000);
  expect([host.statusFiles.size, host.signals, host.trace]).toEqual([0, ['KILL'], ['look']]);
  await guard.stop();
});

test('F34: a record that is written anew is another start', async () => {
  const { host, guard } = guarded();
  for (let version = 2; version < 12; version += 1) {
    host.statusFiles.set('web1', { ...file, version: String(version) });
    await host.clock.advance(1_000);
  }
  expect([host.statusFiles.size, host.signals]).toEqual([1, []]);
  await guard.stop();
});
