import { judge } from '../../ha/evidence/judge.js';
import type { HostJudgement } from '../contracts.js';
import { isUnderSuspicion } from '../liveness.js';
import { tryLiveness } from './livenessWrites.js';
import { recordJudgement } from './suspicion.js';
import type { TrackerDeps } from './trackerDeps.js';

/** How a host answered again. */
export interface ComeBack {
  hostUuid: string;
  bootId: string;
  /** The boot known before, from memory or the row; null: never connected. */
  previousBootId: string | null;
  /** A reminder while its old runs are still open: neither history nor liveness changes. */
  reminder?: boolean;
}

/**
 * Judges a host whose link is up (again). Answers the judgement to tell, if any, and whether runs
 * of an older boot are still open in the ledger, so that it has to be told again.
 */
export async function judgeUp(
  deps: TrackerDeps,
  { hostUuid, bootId, previousBootId, reminder = false }: ComeBack,
): Promise<{ judgement: HostJudgement | undefined; oldRuns: number }> {
  const { repository, inventory, settings } = deps;
  const arrow = { arrow: 'cameBack', reason: 'its agent answers' } as const;
  const before = reminder ? 'online' : await tryLiveness(repository, hostUuid, arrow);
  const host = await repository.get(hostUuid);
  const runs = await inventory.openRuns(hostUuid);
  const oldRuns = runs.filter((run) => run.bootId !== bootId).length;
  const rebooted = oldRuns > 0 || (previousBootId !== null && previousBootId !== bootId);
  const { ha } = settings.current(host.clusterUuid);
  const wasSuspect = isUnderSuspicion(before);
  const verdict = judge({
    evidence: {
      link: 'up',
      boot: rebooted ? 'new' : 'same',
      wasSuspect,
      atSibling: 'unseen',
      storageHeartbeat: 'none',
    },
    hostState: host.state,
    ownNetworkFirst: false,
    mode: ha.mode,
    withoutHeartbeat: ha.agentDown.withoutHeartbeat,
    lastHeardAgeMs: 0,
    silentAfterMs: ha.detect.silentAfterMs,
    allowedChannels: ha.preFence.channels,
  });
  if (verdict.action === 'none') return { judgement: undefined, oldRuns };
  const inputs = {
    link: 'up',
    boot: rebooted ? 'new' : 'same',
    bootId,
    previousBootId,
    wasSuspect,
    livenessBefore: before,
    oldRuns,
    lastHeardAgeMs: 0,
    hostState: host.state,
    mode: ha.mode,
  };
  const judgement = { hostUuid, ...verdict, siblingHostUuids: [], inputs };
  if (!reminder) await recordJudgement(deps.events, host, judgement);
  return { judgement, oldRuns };
}
