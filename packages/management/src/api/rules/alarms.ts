import type { AlarmView, HostView, TaskView, VmView } from '@fenceline/protocol';

/** Everything that alarms are read from; nothing is stored: an alarm lasts as long as its cause. */
export interface AlarmFacts {
  haMode: string;
  hosts: readonly HostView[];
  vms: readonly VmView[];
  openTasks: readonly TaskView[];
  /** Why the database can't be written; undefined: it can. */
  storeProblem: string | undefined;
}

type Alarm = Omit<AlarmView, 'hostUuid' | 'vmUuid' | 'taskUuid'> & Partial<AlarmView>;

/** What needs a person now, worst first. */
export function alarmsOf(facts: AlarmFacts): AlarmView[] {
  const alarms: Alarm[] = [
    ...siteAlarms(facts),
    ...facts.openTasks.flatMap(taskAlarms),
    ...facts.hosts.flatMap(hostAlarms),
    ...facts.vms.flatMap(vmAlarms),
  ];
  const rank = { critical: 0, warning: 1, info: 2 };
  return alarms
    .sort((a, b) => rank[a.severity] - rank[b.severity])
    .map((alarm) => ({ hostUuid: null, vmUuid: null, taskUuid: null, ...alarm }));
}

function siteAlarms({ storeProblem, haMode }: AlarmFacts): Alarm[] {
  return [
    ...(storeProblem === undefined
      ? []
      : [{ severity: 'critical' as const, kind: 'store.failed', text: storeProblem }]),
    ...(haMode === 'active'
      ? []
      : [
          {
            severity: 'warning' as const,
            kind: 'ha.mode',
            text: `ha.mode is ${haMode}: no VM is brought back`,
          },
        ]),
  ];
}

function taskAlarms(task: TaskView): Alarm[] {
  if (task.waitsFor === null) return [];
  const vm = task.vmName ?? task.vmUuid;
  const text = `${vm} is not brought back: ${task.waitsFor}`;
  const of = { taskUuid: task.uuid, vmUuid: task.vmUuid };
  return [{ severity: 'critical', kind: 'task.waits', text, ...of }];
}

function hostAlarms(host: HostView): Alarm[] {
  const of = { hostUuid: host.uuid };
  const why = host.livenessReason === '' ? '' : `: ${host.livenessReason}`;
  const alive = host.liveness === 'online' || host.liveness === 'late';
  if (!alive)
    return [
      {
        severity: 'critical',
        kind: `host.${host.liveness}`,
        text: `${host.name} is ${host.liveness}${why}`,
        ...of,
      },
    ];
  if (host.status === 'Disconnected')
    return [
      {
        severity: 'warning',
        kind: 'host.disconnected',
        text: `${host.name} is Disconnected${why}`,
        ...of,
      },
    ];
  const lines = lineAlarms(host);
  if (host.powerDevice !== null && host.powerDevice.verifiedAt === null)
    return [
      ...lines,
      {
        severity: 'warning',
        kind: 'power.unverified',
        text: `the power device of ${host.name} was never seen to switch it`,
        ...of,
      },
    ];
  return lines;
}

function lineAlarms({ uuid, name, noFenceLineSince, orderTokens }: HostView): Alarm[] {
  const of = { severity: 'warning' as const, hostUuid: uuid };
  const noLine = `${name} has no standing fence line: where a new login is impossible, no sibling can fence it`;
  const noToken = `${name} holds no order token: it refuses every order of a sibling`;
  return [
    ...(noFenceLineSince === null ? [] : [{ ...of, kind: 'fence.line.none', text: noLine }]),
    ...(orderTokens === 0 ? [{ ...of, kind: 'fence.tokens.none', text: noToken }] : []),
  ];
}

function vmAlarms(vm: VmView): Alarm[] {
  if (vm.protected || vm.level === 'none' || vm.stoppedByPerson) return [];
  const text = `${vm.name} is not protected: ${vm.protection}`;
  return [{ severity: 'warning', kind: 'vm.unprotected', text, vmUuid: vm.uuid }];
}
