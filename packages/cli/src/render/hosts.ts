import type { HostView } from '@fenceline/protocol';
import { cell, facts, type Cell, type Paint } from './text.js';
import { relative, shortTime } from './time.js';
import { hookCell, livenessCell, statusCell } from './words.js';

export const HOST_HEAD = [
  'HOST',
  'STATUS',
  'STATE',
  'LIVENESS',
  'SEEN',
  'RUNS',
  'HOOK',
  'WHY',
] as const;

/** One host as a line of a table. */
export function hostLine(host: HostView, nowMs: number): Cell[] {
  return [
    cell(host.name, 'strong'),
    statusCell(host),
    cell(host.state, host.state === 'Enabled' ? 'plain' : 'warn'),
    livenessCell(host),
    cell(seen(host, nowMs)),
    cell(host.openRuns),
    hookCell(host.hookWorking),
    cell(host.livenessReason),
  ];
}

/** `fenceline host show` */
export function hostLines(host: HostView, nowMs: number, paint: Paint): string[] {
  const device = host.powerDevice;
  const verified =
    device?.verifiedAt === null || device === null
      ? 'not verified'
      : `verified ${shortTime(device.verifiedAt)}`;
  return facts(
    [
      ['host', cell(host.name, 'strong')],
      ['uuid', cell(host.uuid)],
      ['cluster', cell(host.clusterName)],
      ['status', statusCell(host)],
      ['state', cell(host.state)],
      ['liveness', livenessCell(host)],
      ['why', cell(host.livenessReason)],
      ...connectFact(host),
      ['last sign of life', cell(seen(host, nowMs))],
      ['addresses', cell(host.addresses.join(', '))],
      ['agent', cell(`port ${host.agentPort}, version ${host.agentVersion ?? 'unknown'}`)],
      ['ssh', cell(`${host.sshUsername}, port ${host.sshPort}`)],
      ['boot', cell(host.bootId)],
      ['cpus', cell(host.cpus)],
      ['memory', cell(host.memoryMiB === null ? null : `${host.memoryMiB} MiB`)],
      [
        'power device',
        device === null
          ? cell('none', 'dim')
          : cell(`${device.agent}, ${verified}`, device.verifiedAt === null ? 'warn' : 'good'),
      ],
      ['libvirt hook', hookFact(host)],
      ['open runs', cell(host.openRuns)],
    ],
    paint,
  );
}

function hookFact({ hookWorking, hookWhy }: HostView): Cell {
  return hookWorking === false ? cell(`does not work: ${hookWhy}`, 'bad') : hookCell(hookWorking);
}

function connectFact({ connectFailure }: HostView): [string, Cell][] {
  return connectFailure === null
    ? []
    : [['last connect', cell(`failed: ${connectFailure}`, 'bad')]];
}

/** The server stores signs of life now and then; an online host has shown one within its limit. */
function seen(host: HostView, nowMs: number): string {
  return host.liveness === 'online' ? 'now' : relative(host.lastSignOfLifeAt, nowMs);
}
