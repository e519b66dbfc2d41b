import type { HostView } from '@fenceline/protocol';
import { cell, facts, type Cell, type Paint } from './text.js';
import { relative, shortTime } from './time.js';
import { livenessCell, statusCell } from './words.js';

export const HOST_HEAD = ['HOST', 'STATUS', 'STATE', 'LIVENESS', 'SEEN', 'RUNS', 'WHY'] as const;

/** One host as a line of a table. */
export function hostLine(host: HostView, nowMs: number): Cell[] {
  return [
    cell(host.name, 'strong'),
    statusCell(host),
    cell(host.state, host.state === 'Enabled' ? 'plain' : 'warn'),
    livenessCell(host),
    cell(seen(host, nowMs)),
    cell(host.openRuns),
    cell(host.livenessReason),
  ];
}

/** `fenceline host show` */
export function hostLines(host: HostView, nowMs: number, paint: Paint): string[] {
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
      ...powerFacts(host),
      ['open runs', cell(host.openRuns)],
    ],
    paint,
  );
}

/** One line per level; of several devices all must be off for the host to be. */
function powerFacts({ powerLevels }: HostView): [string, Cell][] {
  if (powerLevels.length === 0) return [['power device', cell('none', 'dim')]];
  return powerLevels.map(({ level, verified, devices }) => {
    const agents = devices.map(({ agent }) => agent).join(' + ');
    const [at] = devices.map(({ verifiedAt }) => verifiedAt ?? '').toSorted();
    const text = verified ? `verified ${shortTime(at ?? '')}` : 'not verified';
    const name = powerLevels.length === 1 ? 'power device' : `power level ${level}`;
    return [name, cell(`${agents}, ${text}`, verified ? 'good' : 'warn')];
  });
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
