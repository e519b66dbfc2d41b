import type {
  AlarmView,
  HostReadinessView,
  ReadinessView,
  StatusView,
  TaskView,
} from '@fenceline/protocol';
import { fencersText, hostLine, HOST_HEAD } from './hosts.js';
import { cell, clean, table, title, type Paint } from './text.js';
import { relative, shortTime } from './time.js';
import { protectedCell, severityTone, taskStateCell, vmStateCell, kebab } from './words.js';

/** `fenceline status`: alarms first, as they are what somebody came for. */
export function statusLines(status: StatusView, paint: Paint): string[] {
  const nowMs = Date.parse(status.at);
  const mode = status.haMode === 'active' ? 'HA is active' : `HA is ${status.haMode}`;
  return [
    `${shortTime(status.at)} UTC  ${paint(mode, status.haMode === 'active' ? 'good' : 'bad')}`,
    '',
    ...alarmLines(status.alarms, paint),
    ...(status.openTasks.length === 0
      ? []
      : [title('Open HA tasks', paint), ...taskTable(status.openTasks, { nowMs, paint }), '']),
    ...status.clusters.flatMap(({ cluster, hosts, vms }) => [
      title(`Cluster ${cluster.name}`, paint),
      ...(hosts.length === 0
        ? ['no hosts yet: fenceline host add ADDRESS --name NAME']
        : table(
            HOST_HEAD,
            hosts.map((host) => hostLine(host, nowMs)),
            paint,
          )),
      '',
      ...(vms.length === 0
        ? []
        : [
            ...table(
              ['VM', 'STATE', 'HOST', 'LEVEL', 'PROTECTED'],
              vms.map((vm) => [
                cell(vm.name, 'strong'),
                vmStateCell(vm),
                cell(vm.hostName),
                cell(kebab(vm.level)),
                protectedCell(vm),
              ]),
              paint,
            ),
            '',
          ]),
    ]),
  ].slice(0, -1);
}

function alarmLines(alarms: readonly AlarmView[], paint: Paint): string[] {
  if (alarms.length === 0) return [paint('no alarms', 'good'), ''];
  return [
    title('Alarms', paint),
    ...alarms.map(
      ({ severity, text }) =>
        `  ${paint(severity.padEnd(8), severityTone(severity))}  ${clean(text)}`,
    ),
    '',
  ];
}

export function taskTable(
  tasks: readonly TaskView[],
  { nowMs, paint }: { nowMs: number; paint: Paint },
): string[] {
  return table(
    ['TASK', 'VM', 'STATE', 'BEGAN', 'NEXT TRY', 'WAITS FOR'],
    tasks.map((task) => [
      cell(task.uuid),
      cell(task.vmName ?? task.vmUuid, 'strong'),
      taskStateCell(task.state),
      cell(relative(task.createdAt, nowMs)),
      cell(relative(task.nextTryAt, nowMs)),
      cell(task.waitsFor ?? ''),
    ]),
    paint,
  );
}

/** `fenceline readiness`: who could fence whom, and what would be left without proof. */
export function readinessLines(readiness: ReadinessView, paint: Paint): string[] {
  return [
    ...table(
      ['HOST', 'CAN FENCE', 'CAN BE FENCED BY', 'POWER DEVICE'],
      readiness.hosts.map((host) => [
        cell(host.name, 'strong'),
        host.canFence ? cell('yes', 'good') : cell(`no: ${host.whyNot ?? ''}`, 'bad'),
        host.canBeFencedBy.length === 0 ? cell('nobody', 'bad') : cell(peerText(host), 'good'),
        cell(
          host.powerDevice,
          { none: 'dim', unverified: 'warn', verified: 'good' }[host.powerDevice] as 'dim',
        ),
      ]),
      paint,
    ),
    '',
    ...table(
      ['VM', 'HOST', 'PROOFS THAT WOULD WORK', 'PROTECTED'],
      readiness.vms.map((vm) => [
        cell(vm.name, 'strong'),
        cell(vm.hostName),
        vm.proofs.length === 0 ? cell('none', 'bad') : cell(vm.proofs.join(', '), 'good'),
        vm.protected ? cell('yes', 'good') : cell(`no: ${vm.text}`, 'warn'),
      ]),
      paint,
    ),
  ];
}

function peerText({ canBeFencedBy, peerCount }: HostReadinessView): string {
  const names = fencersText(canBeFencedBy);
  const more = peerCount - canBeFencedBy.length;
  return more > 0 ? `${names} and ${more} more` : names;
}
