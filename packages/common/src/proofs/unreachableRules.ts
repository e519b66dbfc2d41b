import type { JudgedRun, Ruling } from './lookRules.js';
import { resolveVerdict, type RawVerdict } from './verdictRules.js';

/** One sibling that was asked about the suspect in this attempt, and its answer. */
export interface SiblingWord {
  hostUuid: string;
  outcome: string;
  verdict: RawVerdict;
}

/** The suspect's last record on one storage, as a sibling with access read it. */
export interface StorageRecordFacts {
  /** The storage, as people call it. */
  storage: string;
  /** It holds a disk of this VM. */
  holdsDisk: boolean;
  bootId: string;
  sequence: number;
  selfFencerArmed: boolean;
  watchdogArmed: boolean;
  /** The runs that the self-fencer of that host ends when it is cut off from this storage. */
  kills: readonly { vmUuid: string; epoch: number }[];
  /** The named sum of its worst cases: after so much silence the run has surely been ended. */
  deadlineMs: number;
  /** Since this server first read this sequence, by its own monotonic clock in this life of it. */
  unchangedForMs: number;
  /** Positive control: another host whose record was read anew in the same round. */
  control: { hostUuid: string; advanced: boolean } | null;
}

/** Everything that `hostUnreachable` is judged by. */
export interface UnreachableFacts {
  policy: 'corroborated' | 'single';
  minSiblings: number;
  /** Siblings that may be asked at all, whether they answered or not. */
  eligibleSiblings: number;
  siblings: readonly SiblingWord[];
  /** Any other sign of life of the host, by anybody, since this attempt began. */
  signOfLife: boolean;
  records: readonly StorageRecordFacts[];
}

/**
 * `hostUnreachable`: silence that is corroborated. Every condition must hold: (a) enough siblings
 * found nothing of the host and none found anything, (b) its last record on a storage of this VM
 * says that it ends this run by itself, watchdog behind it, and (c) the time in which it has
 * surely done so has passed on this server's own clock.
 */
export function judgeUnreachable(
  run: JudgedRun,
  facts: UnreachableFacts,
): Ruling<'hostUnreachable'> {
  const silence = silenceProblem(run, facts);
  if (silence !== undefined) return { refused: silence };
  // One sibling's word: an administrator asked for it, and every such proof says so.
  if (facts.policy === 'single') return { kind: 'hostUnreachable' };
  const own = facts.records.filter(({ holdsDisk }) => holdsDisk);
  if (own.length === 0)
    return {
      refused: 'no storage of this VM holds a record of its host, so silence proves nothing',
    };
  const problems = own.map((record) => recordProblem(run, record));
  if (problems.includes(undefined)) return { kind: 'hostUnreachable' };
  return { refused: problems.map((problem, i) => `${own[i]?.storage}: ${problem}`).join('; ') };
}

/** (a) Why the siblings' silence is not enough. */
function silenceProblem(run: JudgedRun, facts: UnreachableFacts): string | undefined {
  const words = facts.siblings.map((word) => ({ ...word, decision: resolveVerdict(word.verdict) }));
  // safety: whoever saw the qemu alive knows more than all who saw nothing.
  const alive = words.find(({ decision }) => decision === 'alive');
  if (alive !== undefined) return `a peer said ${alive.outcome}, so unreachable counts for nothing`;
  // safety: one sibling's sight outweighs the others' blindness; every doubt is a sign of life.
  const seen = words.find(({ decision }) => decision !== 'unreachable');
  if (seen !== undefined) return `a peer said ${seen.outcome}, which is no silence`;
  if (facts.signOfLife) return 'the host showed a sign of life meanwhile';
  const silent = new Set(words.map(({ hostUuid }) => hostUuid));
  silent.delete(run.hostUuid);
  const wanted = facts.policy === 'single' ? 1 : facts.minSiblings;
  const needed = Math.max(1, Math.min(wanted, facts.eligibleSiblings));
  return silent.size < needed
    ? `${silent.size} of ${needed} siblings found it unreachable`
    : undefined;
}

/** (b) and (c): why a record does not say that the run has ended itself. */
function recordProblem(run: JudgedRun, record: StorageRecordFacts): string | undefined {
  if (record.bootId !== run.bootId) return 'its last record is of another boot than the run';
  if (!record.selfFencerArmed) return 'its self-fencer was not armed';
  // safety: a fencer whose process can't be scheduled kills nothing; the watchdog does.
  if (!record.watchdogArmed) return 'its watchdog was not armed';
  const named = record.kills.some(
    ({ vmUuid, epoch }) => vmUuid === run.vmUuid && epoch === run.epoch,
  );
  if (!named) return 'its self-fencer would not end this run';
  // safety: a record that stands still because nobody can read it anew says nothing.
  const { control } = record;
  if (control === null || !control.advanced || control.hostUuid === run.hostUuid)
    return "no other host's record advanced in the same round";
  if (!(record.unchangedForMs > record.deadlineMs))
    return `its record stood still for ${record.unchangedForMs} of ${record.deadlineMs} ms`;
  return undefined;
}
