import type { VmDetailView, VmView } from '@fenceline/protocol';
import { cell, facts, table, title, type Paint } from './text.js';
import { shortTime } from './time.js';
import { kebab, protectedCell, vmStateCell } from './words.js';

/** `fenceline vm list` */
export function vmTable(vms: readonly VmView[], paint: Paint): string[] {
  return table(
    ['VM', 'STATE', 'HOST', 'LEVEL', 'PRIORITY', 'PROTECTED'],
    vms.map((vm) => [
      cell(vm.name, 'strong'),
      vmStateCell(vm),
      cell(vm.hostName),
      cell(kebab(vm.level)),
      cell(vm.priority),
      protectedCell(vm),
    ]),
    paint,
  );
}

/** `fenceline vm show` */
export function vmLines(vm: VmDetailView, paint: Paint): string[] {
  return [
    ...facts(
      [
        ['vm', cell(vm.name, 'strong')],
        ['uuid', cell(vm.uuid)],
        ['state', vmStateCell(vm)],
        ['host', cell(vm.hostName ?? vm.hostUuid)],
        ['level', cell(kebab(vm.level))],
        ['priority', cell(vm.priority)],
        ['protected', protectedCell(vm)],
        ['size', cell(`${vm.cpus} CPUs, ${vm.memoryMiB} MiB`)],
        ['open HA task', cell(vm.openTaskUuid)],
        ...vm.disks.map((disk) => ['disk', cell(`${disk.kind}:${disk.source}`)] as const),
      ],
      paint,
    ),
    '',
    title('Runs, newest first', paint),
    ...table(
      ['EPOCH', 'STATE', 'HOST', 'BEGAN', 'ENDED', 'PROOF'],
      vm.runs.map((run) => [
        cell(run.epoch),
        cell(run.state, run.state === 'closed' ? 'dim' : 'plain'),
        cell(run.hostName ?? run.hostUuid),
        cell(shortTime(run.openedAt)),
        cell(run.closedAt === null ? null : shortTime(run.closedAt)),
        cell(run.proofKind ?? run.proofUuid),
      ]),
      paint,
    ),
  ];
}
