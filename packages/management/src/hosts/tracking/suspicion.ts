import { messageOf, sleep, type Clock, type Logger } from '@fenceline/common';
import { judge, type Inputs, type Verdict } from '../../ha/evidence/judge.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { Events } from '../../telemetry/events.js';
import type { HostJudgement, HostPresence } from '../contracts.js';
import type { Host } from '../host.js';
import type { HostRepository } from '../repository.js';
import type { Scan, ScanResult } from '../scan.js';
import { REMIND_MS, roundEveryMs } from './deadlines.js';
import { tryLiveness } from './livenessWrites.js';

export interface SuspicionDeps {
  clock: Clock;
  log: Logger;
  settings: SettingsSource;
  events: Events;
  repository: HostRepository;
  presence: HostPresence;
  scan: Scan;
  /** D3, for this host now. */
  ownNetworkFirst: (hostUuid: string) => boolean;
  emit: (judgement: HostJudgement) => void;
  /** Asks the suspect itself once more; if it answers, the suspicion's signal fires. */
  probe: () => Promise<void>;
}

/** Why a host is a suspect. */
export interface Suspect {
  hostUuid: string;
  /** `broken`: the link was cut and probes were refused; `silence`: nothing came for too long. */
  by: 'broken' | 'silence';
  /** Monotonic ms. */
  sinceMs: number;
  lastHeardMs: number;
  reason: string;
}

/**
 * Rounds over one suspect until `signal` fires: siblings look, the matrix judges, liveness and
 * listener are told. A judgement is told when it is new or of another kind, and as a reminder.
 */
export async function suspicion(
  deps: SuspicionDeps,
  suspect: Suspect,
  signal: AbortSignal,
): Promise<void> {
  const told = { kind: '', atMs: 0 };
  while (!signal.aborted) {
    const startedMs = deps.clock.monotonicMs();
    try {
      await round(deps, { suspect, told, signal });
    } catch (thrown) {
      const facts = { hostUuid: suspect.hostUuid, error: messageOf(thrown) };
      deps.log.error('a suspect could not be judged', facts);
    }
    const nowMs = deps.clock.monotonicMs();
    const pauseMs = roundEveryMs(nowMs - suspect.sinceMs) - (nowMs - startedMs);
    await sleep(deps.clock, Math.max(0, pauseMs), signal).catch(() => undefined);
  }
}

async function round(
  deps: SuspicionDeps,
  { suspect, told, signal }: { suspect: Suspect; told: Told; signal: AbortSignal },
): Promise<void> {
  const host = await deps.repository.get(suspect.hostUuid);
  const scan = host.state === 'Maintenance' ? unscanned(deps.clock) : await deps.scan(host, signal);
  // A sibling reaches its agent: this server may by now as well, and then nothing is wrong.
  if (scan.atSibling === 'agent') await deps.probe();
  if (signal.aborted) return;
  const inputs = inputsOf(deps, { host, scan, suspect });
  const verdict = judge(inputs);
  await noteLiveness(deps, { host, verdict, reason: suspect.reason });
  if (signal.aborted) return;
  const nowMs = deps.clock.monotonicMs();
  const kind = kindOf(verdict, inputs, scan);
  const isNew = kind !== told.kind;
  if (!isNew && nowMs - told.atMs < REMIND_MS) return;
  Object.assign(told, { kind, atMs: nowMs });
  const judgement: HostJudgement = {
    hostUuid: host.uuid,
    ...verdict,
    siblingHostUuids: scan.views.map(({ siblingHostUuid }) => siblingHostUuid),
    inputs: factsOf(deps, { suspect, host, scan, inputs }),
  };
  if (isNew) await recordJudgement(deps.events, host, judgement);
  if (verdict.action !== 'none') deps.emit(judgement);
}

interface Told {
  kind: string;
  atMs: number;
}

function inputsOf(
  deps: SuspicionDeps,
  { host, scan, suspect }: { host: Host; scan: ScanResult; suspect: Suspect },
): Inputs {
  const { ha } = deps.settings.current(host.clusterUuid);
  return {
    evidence: {
      link: 'down',
      boot: 'same',
      wasSuspect: true,
      atSibling: scan.atSibling,
      storageHeartbeat: 'none',
    },
    hostState: host.state,
    ownNetworkFirst: deps.ownNetworkFirst(host.uuid),
    mode: ha.mode,
    withoutHeartbeat: ha.agentDown.withoutHeartbeat,
    lastHeardAgeMs: deps.clock.monotonicMs() - suspect.lastHeardMs,
    silentAfterMs: ha.detect.silentAfterMs,
    allowedChannels: ha.preFence.channels,
  };
}

/** What makes a judgement another one: then it is stored and told at once. */
function kindOf(verdict: Verdict, inputs: Inputs, scan: ScanResult): string {
  const siblings = scan.views.map(({ siblingHostUuid }) => siblingHostUuid).toSorted();
  return JSON.stringify([verdict, inputs.evidence, inputs.hostState, siblings]);
}

async function noteLiveness(
  { repository }: SuspicionDeps,
  { host, verdict, reason }: { host: Host; verdict: Verdict; reason: string },
): Promise<void> {
  if (verdict.row === 'isolated')
    await tryLiveness(repository, host.uuid, { arrow: 'foundIsolated', reason: verdict.why });
  else if (host.liveness === 'isolated')
    await tryLiveness(repository, host.uuid, { arrow: 'suspected', reason });
}

/** D6: every input and its age, flat. */
function factsOf(
  { clock, presence }: SuspicionDeps,
  {
    suspect,
    host,
    scan,
    inputs,
  }: { suspect: Suspect; host: Host; scan: ScanResult; inputs: Inputs },
): HostJudgement['inputs'] {
  const nowMs = clock.monotonicMs();
  const lastSignMs = presence.lastSignOfLifeMs(host.uuid);
  return {
    ...inputs.evidence,
    linkDownBy: suspect.by,
    linkDownForMs: Math.round(nowMs - suspect.sinceMs),
    lastHeardAgeMs: Math.round(nowMs - suspect.lastHeardMs),
    lastSignOfLifeAgeMs: lastSignMs === undefined ? null : Math.round(nowMs - lastSignMs),
    bootId: presence.bootId(host.uuid) ?? host.bootId,
    siblingsAsked: scan.asked,
    siblingsAnswered: scan.views.length,
    scanAgeMs: Math.round(nowMs - scan.endedMs),
    hostState: inputs.hostState,
    ownNetworkFirst: inputs.ownNetworkFirst,
    mode: inputs.mode,
    withoutHeartbeat: inputs.withoutHeartbeat,
  };
}

/** D6: the row, its inputs and their age, for the history. */
export function recordJudgement(
  events: Events,
  host: Pick<Host, 'uuid' | 'name'>,
  judgement: HostJudgement,
): Promise<void> {
  const { action, row, channels, inputs, why, siblingHostUuids } = judgement;
  const severity = action === 'fence' || action === 'alarm' ? 'critical' : 'info';
  return events.record({
    kind: 'host.judged',
    severity,
    hostUuid: host.uuid,
    text: `host ${host.name}: ${why} (${action})`,
    facts: {
      row,
      action,
      channels: channels.join(','),
      siblings: siblingHostUuids.join(','),
      ...inputs,
    },
  });
}

function unscanned(clock: Clock): ScanResult {
  return { atSibling: 'unseen', views: [], asked: 0, endedMs: clock.monotonicMs() };
}
