import type { FencerView, HostView } from '@fenceline/protocol';
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
  'CAN BE FENCED BY',
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
    shortFencersCell(host),
    hookCell(host.hookWorking),
    cell(host.livenessReason),
  ];
}

/** As many as a line of a table has room for, the best first. */
const FENCERS_IN_LINE = 2;

function shortFencersCell({ canBeFencedBy, noFenceLineSince }: HostView): Cell {
  if (canBeFencedBy.length === 0) return cell('nobody', 'bad');
  const names = canBeFencedBy
    .slice(0, FENCERS_IN_LINE)
    .map((fencer) =>
      fencer.line === 'standing' ? `${fencer.name} (${standing(fencer)})` : fencer.name,
    );
  const more = canBeFencedBy.length - names.length;
  const text = `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return cell(text, noFenceLineSince === null ? 'plain' : 'warn');
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
      ['can be fenced by', fencersCell(host)],
      ['order tokens', tokensCell(host)],
      ['fallback login', cell(host.login ?? 'none', host.login === null ? 'dim' : 'plain')],
      ['libvirt hook', hookFact(host)],
      ['open runs', cell(host.openRuns)],
    ],
    paint,
  );
}

/**
 * `h2 (standing, door, 1.5 ms), h3`: who keeps a fence line to it, who of them one through its door,
 * and who would have to log in.
 */
export function fencersText(fencers: readonly FencerView[]): string {
  return fencers
    .map((fencer) => {
      const { name, line, roundTripMs } = fencer;
      if (line === null) return name;
      if (line !== 'standing') return `${name} (${line})`;
      return `${name} (${standing(fencer)}${roundTripMs === null ? '' : `, ${roundTripMs} ms`})`;
    })
    .join(', ');
}

function standing({ ways }: FencerView): string {
  return ways.includes('door') ? 'standing, door' : 'standing';
}

function fencersCell({ canBeFencedBy, noFenceLineSince }: HostView): Cell {
  if (canBeFencedBy.length === 0) return cell('nobody', 'bad');
  return cell(fencersText(canBeFencedBy), noFenceLineSince === null ? 'good' : 'warn');
}

function tokensCell({ orderTokens }: HostView): Cell {
  return orderTokens === 0 ? cell('none left', 'bad') : cell(orderTokens);
}

/** One line per level; of several devices all must be off for the host to be. */
function powerFacts({ powerLevels, powerUnresolvedSince }: HostView): [string, Cell][] {
  const unknown = `an "off" since ${shortTime(powerUnresolvedSince ?? '')} has no known outcome`;
  const open: [string, Cell][] =
    powerUnresolvedSince === null ? [] : [['power order', cell(unknown, 'bad')]];
  if (powerLevels.length === 0) return [['power device', cell('none', 'dim')], ...open];
  const levels = powerLevels.map(({ level, verified, devices }): [string, Cell] => {
    const agents = devices.map(({ agent }) => agent).join(' + ');
    const [at] = devices.map(({ verifiedAt }) => verifiedAt ?? '').toSorted();
    const text = verified ? `verified ${shortTime(at ?? '')}` : 'not verified';
    const name = powerLevels.length === 1 ? 'power device' : `power level ${level}`;
    return [name, cell(`${agents}, ${text}`, verified ? 'good' : 'warn')];
  });
  return [...levels, ...open];
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
