import type { HostView, TaskView, VmView } from '@fenceline/protocol';
import { expect, test } from '@jest/globals';
import { alarmsOf, type AlarmFacts } from './alarms.js';

const host = { uuid: 'u1', name: 'h1', status: 'Connected', liveness: 'online' };
const hostWith = (changes: Partial<HostView>): HostView =>
  Object.assign(
    { livenessReason: '', powerDevice: null, noFenceLineSince: null, orderTokens: null },
    host,
    changes,
  ) as HostView;
const vmWith = (changes: Partial<VmView>): VmView =>
  Object.assign(
    { uuid: 'v1', name: 'web1', level: 'neverStop', protected: true, stoppedByPerson: false },
    changes,
  ) as VmView;
const task = { uuid: 't1', vmUuid: 'v1', vmName: 'web1', waitsFor: 'no proof' } as TaskView;
const quiet: AlarmFacts = {
  haMode: 'active',
  hosts: [],
  vms: [],
  openTasks: [],
  storeProblem: undefined,
};

test.each<[Partial<AlarmFacts>, string[], string]>([
  [{}, [], 'nothing is wrong'],
  [{ hosts: [hostWith({})] }, [], 'a healthy host'],
  [{ hosts: [hostWith({ liveness: 'late' })] }, [], 'one lost heartbeat is weather'],
  [{ storeProblem: 'disk full' }, ['critical store.failed'], 'nothing can be made durable'],
  [{ haMode: 'disarmed' }, ['warning ha.mode'], 'no VM would be brought back'],
  [{ openTasks: [task] }, ['critical task.waits'], 'a VM is down until somebody acts'],
  [{ hosts: [hostWith({ liveness: 'suspect' })] }, ['critical host.suspect'], 'judged'],
  [{ hosts: [hostWith({ liveness: 'fenced' })] }, ['critical host.fenced'], 'it needs repair'],
  [{ hosts: [hostWith({ status: 'Disconnected' })] }, ['warning host.disconnected'], 'no link'],
  [
    { hosts: [hostWith({ powerDevice: { agent: 'fence_x', verifiedAt: null } })] },
    ['warning power.unverified'],
    'a device that may switch another host',
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
    { vms: [vmWith({ protected: false, protection: 'no proof' })] },
    ['warning vm.unprotected'],
    'D19: red before it matters',
  ],
  [{ vms: [vmWith({ protected: false, level: 'none' })] }, [], 'nobody asked for it'],
  [{ vms: [vmWith({ protected: false, stoppedByPerson: true })] }, [], 'a person stopped it'],
  [
    { haMode: 'detect-only', openTasks: [task] },
    ['critical task.waits', 'warning ha.mode'],
    'worst first',
  ],
])('%#: %j', (facts, expected, why) => {
  const alarms = alarmsOf({ ...quiet, ...facts }).map(
    ({ severity, kind }) => `${severity} ${kind}`,
  );
  expect({ why, alarms }).toEqual({ why, alarms: expected });
});
