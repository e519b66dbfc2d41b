import { dashed, type ScanLevel } from '@fenceline/protocol';

/** What one attempt saw. */
export interface ScanAttempt {
  /** Uuids of the agents that echoed, undefined for one without. */
  echoes: readonly (string | undefined)[];
  signs: readonly string[];
}

export interface ScanResult {
  level: ScanLevel;
  unstable: boolean;
  signsOfLife: string[];
}

/**
 * The best that answered in any attempt (D4). An echo of another host is no agent of the suspect,
 * yet something lives behind its address: that is `kernel`, never `nothing`.
 */
export function judgeScan(targetHostUuid: string, attempts: readonly ScanAttempt[]): ScanResult {
  const levels = attempts.map((attempt) => levelOf(targetHostUuid, attempt));
  const best = (['agent', 'kernel'] as const).find((level) => levels.includes(level));
  return {
    level: best ?? 'nothing',
    unstable: new Set(levels).size > 1,
    signsOfLife: [...new Set(attempts.flatMap((attempt) => signsOf(targetHostUuid, attempt)))],
  };
}

/** What one attempt shows. */
export function levelOf(targetHostUuid: string, attempt: ScanAttempt): ScanLevel {
  if (attempt.echoes.some((uuid) => isTarget(targetHostUuid, uuid))) return 'agent';
  return attempt.echoes.length + attempt.signs.length > 0 ? 'kernel' : 'nothing';
}

function isTarget(targetHostUuid: string, echoed: string | undefined): boolean {
  return echoed !== undefined && dashed(echoed) === dashed(targetHostUuid);
}

function signsOf(targetHostUuid: string, { echoes, signs }: ScanAttempt): string[] {
  const echoed = echoes.map((uuid) =>
    isTarget(targetHostUuid, uuid)
      ? 'agent echo'
      : `agent echo of another host (${uuid ?? 'no uuid'})`,
  );
  return [...echoed, ...signs];
}
