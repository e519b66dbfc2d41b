import type { AlarmView, HostView, TaskView, VmView } from '@fenceline/protocol';
import type { HaSettings } from '../../settings/settings.js';
import { singleText } from '../../settings/singlePolicy.js';
import { runsText, type OpenRun } from './doubled.js';

/** Everything that alarms are read from; nothing is stored: an alarm lasts as long as its cause. */
export interface AlarmFacts {
  /** What is in force in each cluster. */
  policies: readonly { cluster: string; ha: AlarmSettings }[];
  hosts: readonly HostView[];
  vms: readonly VmView[];
  openTasks: readonly TaskView[];
  /** VMs with open runs on more than one host, and these. */
  doubled: ReadonlyMap<string, readonly OpenRun[]>;
  /** Why the database can't be written; undefined: it can. */
  storeProblem: string | undefined;
  /** Why the chain of proofs does not hold; undefined: it does. */
  chainProblem: string | undefined;
}

/** Settings that are alarms themselves. */
type AlarmSettings = Pick<HaSettings, 'mode' | 'unreachable'>;

type Alarm = Omit<AlarmView, 'hostUuid' | 'vmUuid' | 'taskUuid'> & Partial<AlarmView>;

/** What needs a person now, worst first. */
export function alarmsOf(facts: AlarmFacts): AlarmView[] {
  const alarms: Alarm[] = [
    ...siteAlarms(facts),
    ...facts.openTasks.flatMap(taskAlarms),
    ...facts.hosts.flatMap(hostAlarms),
    ...facts.vms.flatMap((vm) => doubledAlarms(vm, facts.doubled.get(vm.uuid)) ?? vmAlarms(vm)),
  ];
  const rank = { critical: 0, warning: 1, info: 2 };
  return alarms
    .sort((a, b) => rank[a.severity] - rank[b.severity])
    .map((alarm) => ({ hostUuid: null, vmUuid: null, taskUuid: null, ...alarm }));
}

function siteAlarms({ storeProblem, chainProblem, policies }: AlarmFacts): Alarm[] {
  return [
    ...(chainProblem === undefined
      ? []
      : [{ severity: 'critical' as const, kind: 'proofs.chainBroken', text: chainProblem }]),
    ...(storeProblem === undefined
      ? []
      : [{ severity: 'critical' as const, kind: 'store.failed', text: storeProblem }]),
    ...policyAlarms(policies),
  ];
}

/** As long as they are in force: nobody is to forget them. Said once if all clusters have them. */
function policyAlarms(policies: AlarmFacts['policies']): Alarm[] {
  const single = policies.filter(({ ha }) => ha.unreachable.policy === 'single');
  const resting = policies.filter(({ ha }) => ha.mode !== 'active');
  const everywhere = new Set(resting.map(({ ha }) => ha.mode)).size === 1;
  return [
    ...named(single, policies, true).map((cluster): Alarm => {
      return { severity: 'critical', kind: 'ha.unreachable.single', text: singleText(cluster) };
    }),
    ...named(resting, policies, everywhere).map((cluster): Alarm => {
      const mode = resting.find((each) => each.cluster === (cluster ?? each.cluster))?.ha.mode;
      const where = cluster === undefined ? '' : ` in cluster ${cluster}`;
      const text = `ha.mode is ${mode}${where}: no VM is brought back`;
      return { severity: 'warning', kind: 'ha.mode', text };
    }),
  ];
}

/** The clusters by name; undefined stands for all of them. */
function named(
  some: AlarmFacts['policies'],
  all: AlarmFacts['policies'],
  alike: boolean,
): (string | undefined)[] {
  if (alike && some.length > 0 && some.length === all.length) return [undefined];
  return some.map(({ cluster }) => cluster);
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
  return [...lineAlarms(host), ...hookAlarms(host), ...powerAlarms(host)];
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

function hookAlarms({ uuid: hostUuid, name, hookWorking, hookWhy }: HostView): Alarm[] {
  if (hookWorking !== false) return [];
  const text =
    `the libvirt hook of ${name} does not work: ${hookWhy}; ` +
    'protected VMs can be started there by hand';
  return [{ severity: 'warning', kind: 'host.hook', text, hostUuid }];
}

function powerAlarms({ uuid, name, powerLevels, powerUnresolvedSince }: HostView): Alarm[] {
  const unresolved =
    `an "off" to the power of ${name} from ${powerUnresolvedSince} has no known outcome, so no VM ` +
    'is placed there until the device reads on for 5 minutes or the host reboots; one that does ' +
    'not answer any more can be taken away (host power-set, host power-clear)';
  const unverified = powerLevels
    .filter(({ verified }) => !verified)
    .map(({ level }): Alarm => ({
      severity: 'warning',
      kind: 'power.unverified',
      text:
        `the power device${powerLevels.length === 1 ? '' : ` of level ${level}`} of ` +
        `${name} is not proven to switch it`,
      hostUuid: uuid,
    }));
  if (powerUnresolvedSince === null) return unverified;
  const of = { severity: 'warning' as const, hostUuid: uuid };
  return [{ ...of, kind: 'power.unresolved', text: unresolved }, ...unverified];
}

/** I1: as long as the ledger can't rule out two writers. */
function doubledAlarms(
  { uuid: vmUuid, name }: VmView,
  runs: readonly OpenRun[] | undefined,
): Alarm[] | undefined {
  if (runs === undefined) return undefined;
  const text =
    `${name} may run twice, and two qemus that write to its disks destroy them: ${runsText(runs)} ` +
    `are open. Stop it on all of these hosts (fenceline vm stop ${name}), check its file systems, ` +
    'start it again';
  return [{ severity: 'critical', kind: 'vm.runsTwice', text, vmUuid }];
}

function vmAlarms(vm: VmView): Alarm[] {
  const of = { severity: 'warning' as const, vmUuid: vm.uuid };
  if (vm.stoppedByPerson && vm.state !== 'Stopped')
    return [
      {
        ...of,
        kind: 'vm.stopUnfinished',
        text:
          `${vm.name} is ${vm.state}, but a person stopped it: that stop was not carried out, or ` +
          'somebody started it past Fenceline. HA leaves it alone until its host is seen; vm stop ' +
          'or vm start tells what is wished',
      },
    ];
  if (vm.protected || vm.level === 'none' || vm.stoppedByPerson) return [];
  const text = `${vm.name} is not protected: ${vm.protection}`;
  return [{ ...of, kind: 'vm.unprotected', text }];
}
