import { resolveVerdict, type RawVerdict } from './verdictRules.js';

/** The run that a proof is about. */
export interface JudgedRun {
  vmUuid: string;
  epoch: number;
  hostUuid: string;
  bootId: string;
}

/** What the evidence proves, or why it proves nothing. */
export type Ruling<Kind extends string = string> = { kind: Kind } | { refused: string };

/** What somebody who looked on the host reports; the same for a peer and for the host's agent. */
export interface LookRecord {
  hostUuid?: string | null | undefined;
  bootId?: string | null | undefined;
  pidNamespace?: string | null | undefined;
  barrier?: string | null | undefined;
  disks: readonly { source: string; drained: string }[];
}

/** What was asked for: the ledger's part of the question. */
export interface Asked {
  /** Of the run's host in the run's boot; null: not known. */
  pidNamespace: string | null;
  /** The VM's writable disks. */
  disks: readonly string[];
}

/** Evidence of a look, as it is judged and stored. */
export interface LookFacts extends LookRecord {
  outcome: string;
  verdict: RawVerdict;
  killed: readonly unknown[];
  asked: Asked;
}

/** Evidence of the host's own agent. */
export interface AgentLookFacts extends LookFacts {
  highestBegan: number | null;
  beganKnown: boolean;
  /** A person asked for it and the VM was to be stopped. */
  stop: boolean;
}

const BARRIERS: readonly string[] = ['disk', 'memory'];
const SETTLED: readonly string[] = ['direct', 'synced', 'unmounted'];

/**
 * `peerConfirmedDead`: a sibling looked on the suspect and found the run dead (F21–F24, F34). If
 * the suspect answered from another boot than the run's, the run ended with its boot.
 */
export function judgePeer(
  run: JudgedRun,
  facts: LookFacts,
): Ruling<'peerConfirmedDead' | 'hostRebooted'> {
  const decision = resolveVerdict(facts.verdict);
  if (decision !== 'dead') return { refused: `peer said ${facts.outcome} (${decision})` };
  const gap = gapIn(facts, run, facts.asked);
  if (gap !== undefined) return { refused: `peer's record is not complete: ${gap}` };
  return { kind: facts.bootId === run.bootId ? 'peerConfirmedDead' : 'hostRebooted' };
}

/**
 * What the host's own agent proves, behind a barrier: `cleanStop` (it was asked to stop the VM),
 * `hostRebooted` (the run's boot is over), `neverBegan` (this epoch never started here), else
 * `vmNotRunning`. All of them need the same look as a peer's.
 */
export function judgeAgent(
  run: JudgedRun,
  facts: AgentLookFacts,
): Ruling<'hostRebooted' | 'neverBegan' | 'cleanStop' | 'vmNotRunning'> {
  const decision = resolveVerdict(facts.verdict);
  if (decision !== 'dead') return { refused: `its agent said ${facts.outcome} (${decision})` };
  const gap = gapIn(facts, run, facts.asked);
  if (gap !== undefined) return { refused: `its agent's record is not complete: ${gap}` };
  if (facts.bootId !== run.bootId) return { kind: 'hostRebooted' };
  const never = facts.beganKnown && (facts.highestBegan ?? -1) < run.epoch;
  if (never) return { kind: 'neverBegan' };
  return { kind: facts.stop ? 'cleanStop' : 'vmNotRunning' };
}

/**
 * What is missing for "dead" to be believed, or undefined if nothing is: the right host, a
 * barrier that was set before the look, and every writable disk drained (F21a, F22, F34).
 */
export function gapIn(record: LookRecord, run: JudgedRun, asked: Asked): string | undefined {
  if (record.hostUuid !== run.hostUuid)
    return `the answer names host ${record.hostUuid ?? 'none'}, not ${run.hostUuid}`;
  if (isEmpty(record.bootId)) return 'the answer names no boot';
  if (isEmpty(record.pidNamespace)) return 'the answer names no pid namespace';
  // safety: F22: a look from inside a container sees only what is in it.
  const sameBoot = record.bootId === run.bootId;
  if (sameBoot && asked.pidNamespace !== null && record.pidNamespace !== asked.pidNamespace)
    return `the look was made in pid namespace ${record.pidNamespace}, not the host's`;
  // safety: without a barrier a start may slip in between the look and our start elsewhere.
  if (!BARRIERS.includes(record.barrier ?? '')) return 'no barrier was set';
  // safety: a dead process's last write may still be on its way to a disk that is not drained.
  const open = asked.disks.find((source) => !isDrained(record, source));
  return open === undefined ? undefined : `disk ${open} is not drained`;
}

function isEmpty(text: string | null | undefined): boolean {
  return text === undefined || text === null || text === '';
}

function isDrained(record: LookRecord, source: string): boolean {
  const reports = record.disks.filter((disk) => disk.source === source);
  return reports.length > 0 && reports.every((disk) => SETTLED.includes(disk.drained));
}
