import { Settings, type HaSettings } from '../../settings/settings.js';
import type { HostView, TaskView, VmView } from '@fenceline/protocol';
import { expect, test } from '@jest/globals';
import { alarmsOf, type AlarmFacts } from './alarms.js';
import { doubledRuns } from './doubled.js';

const host = { uuid: 'u1', name: 'h1', status: 'Connected', liveness: 'online' };
const hostWith = (changes: Partial<HostView>): HostView =>
  Object.assign(
    {
      livenessReason: '',
      powerLevels: [],
      noFenceLineSince: null,
      orderTokens: null,
      powerUnresolvedSince: null,
    },
    host,
    changes,
  ) as HostView;
const vmWith = (changes: Partial<VmView>): VmView =>
  Object.assign(
    { uuid: 'v1', name: 'web1', level: 'neverStop', protected: true, stoppedByPerson: false },
    changes,
  ) as VmView;
const task = { uuid: 't1', vmUuid: 'v1', vmName: 'web1', waitsFor: 'no proof' } as TaskView;
const policy = (cluster: string, change: (ha: HaSettings) => void = () => undefined) => {
  const { ha } = new Settings();
  change(ha);
  return { cluster, ha };
};
const mode = (wanted: HaSettings['mode']) => (ha: HaSettings) => void (ha.mode = wanted);
const single = (ha: HaSettings) => void (ha.unreachable.policy = 'single');
const twice = (...hosts: string[]) =>
  doubledRuns(
    hosts.map((hostUuid, i) => ({
      ...{ vmUuid: 'v1', epoch: i + 1, hostUuid, hostName: hostUuid, state: 'running' as const },
    })),
  );
const quiet: AlarmFacts = {
  policies: [policy('default'), policy('east')],
  hosts: [],
  vms: [],
  doubled: new Map(),
  openTasks: [],
  storeProblem: undefined,
  chainProblem: undefined,
};

test.each<[Partial<AlarmFacts>, string[], string]>([
  [{}, [], 'nothing is wrong'],
  [{ hosts: [hostWith({})] }, [], 'a healthy host'],
  [{ hosts: [hostWith({ liveness: 'late' })] }, [], 'one lost heartbeat is weather'],
  [{ chainProblem: 'place 3' }, ['critical proofs.chainBroken'], 'proofs were changed'],
  [{ storeProblem: 'disk full' }, ['critical store.failed'], 'nothing can be made durable'],
  [
    { policies: [policy('default', mode('disarmed')), policy('east', mode('disarmed'))] },
    ['warning ha.mode'],
    'no VM would be brought back',
  ],
  [
    { policies: [policy('default', single), policy('east')] },
    ['critical ha.unreachable.single'],
    'hostUnreachable: as long as it is in force',
  ],
  [{ openTasks: [task] }, ['critical task.waits'], 'a VM is down until somebody acts'],
  [{ hosts: [hostWith({ liveness: 'suspect' })] }, ['critical host.suspect'], 'judged'],
  [{ hosts: [hostWith({ liveness: 'fenced' })] }, ['critical host.fenced'], 'it needs repair'],
  [{ hosts: [hostWith({ status: 'Disconnected' })] }, ['warning host.disconnected'], 'no link'],
  [
    { hosts: [hostWith({ powerLevels: [{ level: 1, verified: false, devices: [] }] })] },
    ['warning power.unverified'],
    'a device that may switch another host',
  ],
  [
    { hosts: [hostWith({ powerUnresolvedSince: '2026-01-01T00:00:00.000Z' })] },
    ['warning power.unresolved'],
    'powerOff: nothing is placed there',
  ],
  [
    { hosts: [hostWith({ noFenceLineSince: '2026-01-01T00:00:00.000Z' })] },
    ['warning fence.line.none'],
    'F27: it can not be fenced once it can not fork',
  ],
  [
    { hosts: [hostWith({ orderTokens: 0 })] },
    ['warning fence.tokens.none'],
    'F29a: it refuses every order of a sibling',
  ],
  [{ hosts: [hostWith({ orderTokens: 16 })] }, [], 'F29a: it holds tokens'],
  [
    { hosts: [hostWith({ hookWorking: false, hookWhy: 'it is gone' })] },
    ['warning host.hook'],
    'F34: VMs can be started there by hand',
  ],
  [{ hosts: [hostWith({ hookWorking: null })] }, [], 'not told yet, or an older agent'],
  [
    { vms: [vmWith({ protected: false, protection: 'no proof' })] },
    ['warning vm.unprotected'],
    'D19: red before it matters',
  ],
  [{ vms: [vmWith({ protected: false, level: 'none' })] }, [], 'nobody asked for it'],
  [
    { vms: [vmWith({ protected: false, level: 'none' })], doubled: twice('h1', 'h2') },
    ['critical vm.runsTwice'],
    'I1: two writers, whether HA guards it or not',
  ],
  [{ vms: [vmWith({})], doubled: twice('h1', 'h1') }, [], 'two boots of one host'],
  [
    { vms: [vmWith({ protected: false, stoppedByPerson: true, state: 'Stopped' })] },
    [],
    'a person stopped it',
  ],
  [
    { vms: [vmWith({ protected: false, stoppedByPerson: true, state: 'Unknown' })] },
    ['warning vm.stopUnfinished'],
    'nobody brings it back, and it may run',
  ],
  [
    { vms: [vmWith({ protected: false, stoppedByPerson: true, state: 'Running' })] },
    ['warning vm.stopUnfinished'],
    'D9: somebody started it past Fenceline',
  ],
  [
    { policies: [policy('default', mode('detect-only'))], openTasks: [task] },
    ['critical task.waits', 'warning ha.mode'],
    'worst first',
  ],
])('%#: %j', (facts, expected, why) => {
  const alarms = alarmsOf({ ...quiet, ...facts }).map(
    ({ severity, kind }) => `${severity} ${kind}`,
  );
  expect({ why, alarms }).toEqual({ why, alarms: expected });
});

test('a policy of one cluster is told with its name; of all of them once', () => {
  const texts = (policies: AlarmFacts['policies']): string[] =>
    alarmsOf({ ...quiet, policies }).map(({ text }) => text);
  const both = [policy('default', mode('disarmed')), policy('east', mode('disarmed'))];
  expect(texts(both)).toEqual(['ha.mode is disarmed: no VM is brought back']);
  const one = [policy('default'), policy('east', mode('detect-only'))];
  expect(texts(one)).toEqual(['ha.mode is detect-only in cluster east: no VM is brought back']);
  expect(texts([policy('default'), policy('east', single)])[0]).toContain('single in cluster east');
});
