import { messageOf, shuffled, type Clock, type Logger, type Random } from '@fenceline/common';
import { agentRoutes, type ScanHostRsp } from '@fenceline/protocol';
import type { AtSibling } from '../ha/evidence/matrix.js';
import { linesTo } from '../fencing/lines/lineWatch.js';
import type { AgentGateway } from './agentGateway.js';
import type { HostPresence } from './contracts.js';
import { agentOf, type Host } from './host.js';
import type { HostRepository } from './repository.js';

/** Siblings that look at one suspect in one round. */
export const MAX_SCANNERS = 5;
/** What a sibling may spend on looking, ms. */
const LOOK_MS = 1_000;
/** The whole round: looking, and the way there and back, ms. */
export const SCAN_ROUND_MS = 1_500;

export interface SiblingView {
  siblingHostUuid: string;
  /** `unstable` (some attempts were answered) counts as "agent answers". */
  level: Exclude<AtSibling, 'unseen'>;
  unstable: boolean;
  /** Its fence line to the suspect stands and answers (F27). */
  hasLine: boolean;
  tookMs: number;
  signsOfLife: readonly string[];
}

export interface ScanResult {
  atSibling: AtSibling;
  /** Siblings that answered, best first: they see most of it, steadily, have a line, are quick. */
  views: readonly SiblingView[];
  asked: number;
  /** Monotonic time of the last answer, or of the end of the round. */
  endedMs: number;
}

export interface ScanDeps {
  clock: Clock;
  log: Logger;
  random: Random;
  gateway: AgentGateway;
  repository: HostRepository;
  presence: HostPresence;
  /** The server hears this host now, by stream or ping. */
  hears: (hostUuid: string) => boolean;
}

/** D4: what siblings see of a suspect, asked in parallel. */
export type Scan = (suspect: Host, signal: AbortSignal) => Promise<ScanResult>;

export function makeScan(deps: ScanDeps): Scan {
  const { clock, presence } = deps;
  return async (suspect, signal) => {
    const siblings = await scanners(deps, suspect);
    const asked = siblings.map((sibling) => look(deps, { sibling, suspect, signal }));
    const views = (await Promise.all(asked)).flatMap((view) => view ?? []);
    for (const { siblingHostUuid, level, unstable, signsOfLife } of views) {
      if (level === 'nothing' && signsOfLife.length === 0 && !unstable) continue;
      presence.noteSignOfLife(suspect.uuid, `${level} seen by ${siblingHostUuid}`);
    }
    return {
      atSibling: bestLevel(views),
      views: views.toSorted(bySight),
      asked: siblings.length,
      endedMs: clock.monotonicMs(),
    };
  };
}

/** Siblings that the server hears: Enabled ones first, those with a line before others, else by chance. */
async function scanners(deps: ScanDeps, suspect: Host): Promise<Host[]> {
  const hosts = await deps.repository.list({ clusterUuid: suspect.clusterUuid });
  const heard = hosts.filter(({ uuid }) => uuid !== suspect.uuid && deps.hears(uuid));
  return shuffled(deps.random, heard)
    .map((host) => ({ host, line: hasLine(deps, host.uuid, suspect.uuid) }))
    .toSorted(
      (a, b) =>
        Number(b.host.state === 'Enabled') - Number(a.host.state === 'Enabled') ||
        Number(b.line) - Number(a.line),
    )
    .map(({ host }) => host)
    .slice(0, MAX_SCANNERS);
}

function hasLine({ presence }: ScanDeps, keeper: string, suspect: string): boolean {
  return linesTo(suspect, [keeper], presence).some(({ answers }) => answers);
}

async function look(
  deps: ScanDeps,
  { sibling, suspect, signal }: { sibling: Host; suspect: Host; signal: AbortSignal },
): Promise<SiblingView | undefined> {
  const startedMs = deps.clock.monotonicMs();
  const command = {
    targetHostUuid: suspect.uuid,
    targetAddresses: suspect.addresses.slice(0, 16),
    targetAgentPort: suspect.agentPort,
    targetHostSshPort: suspect.sshPort,
    timeoutMs: LOOK_MS,
    attempts: 2,
  };
  try {
    const call = { command, deadlineMs: SCAN_ROUND_MS, signal };
    const rsp = await deps.gateway.call(agentOf(sibling), agentRoutes.scanHost, call);
    if (!rsp.success) return undefined;
    const tookMs = deps.clock.monotonicMs() - startedMs;
    const line = hasLine(deps, sibling.uuid, suspect.uuid);
    return { siblingHostUuid: sibling.uuid, hasLine: line, tookMs, ...sightOf(rsp) };
  } catch (thrown) {
    const facts = { siblingHostUuid: sibling.uuid, error: messageOf(thrown) };
    deps.log.debug('a sibling could not scan', facts);
    return undefined;
  }
}

function sightOf({
  level,
  unstable,
  signsOfLife,
}: ScanHostRsp): Pick<SiblingView, 'level' | 'unstable' | 'signsOfLife'> {
  return { level: unstable ? 'agent' : level, unstable, signsOfLife };
}

const RANK = { agent: 0, kernel: 1, nothing: 2 } as const;

/** The best thing that anybody saw: one sibling's sight outweighs the others' blindness. */
export function bestLevel(views: readonly Pick<SiblingView, 'level'>[]): AtSibling {
  return views.reduce<AtSibling>(
    (best, { level }) => (best === 'unseen' || RANK[level] < RANK[best] ? level : best),
    'unseen',
  );
}

function bySight(a: SiblingView, b: SiblingView): number {
  return (
    RANK[a.level] - RANK[b.level] ||
    Number(a.unstable) - Number(b.unstable) ||
    Number(b.hasLine) - Number(a.hasLine) ||
    a.tookMs - b.tookMs ||
    (a.siblingHostUuid < b.siblingHostUuid ? -1 : 1)
  );
}
