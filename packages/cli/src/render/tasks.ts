import type { HistoryView, ProofView, StepView, TaskStoryView } from '@fenceline/protocol';
import { cell, clean, facts, table, title, type Paint } from './text.js';
import { clockTime, duration, relative, shortTime } from './time.js';
import { taskStateCell } from './words.js';

/** Attempts that are told of unless all are asked for: they repeat, for days if need be. */
const ATTEMPTS_SHOWN = 3;

export interface TaskLook {
  nowMs: number;
  paint: Paint;
  /** Every attempt, not only the last few. */
  all?: boolean | undefined;
}

/** `fenceline task show`: what happened, what it waits for since when, and the ways out (D15). */
export function taskLines(task: TaskStoryView, look: TaskLook): string[] {
  const { nowMs, paint, all = false } = look;
  const from = all ? 0 : task.attempt - ATTEMPTS_SHOWN + 1;
  const isShown = ({ attempt }: { attempt: number }): boolean => attempt >= from;
  const hidden = from - 1;
  const before =
    hidden > 0 ? [`  and ${hidden} attempt${hidden === 1 ? '' : 's'} before these: --all`] : [];
  const vm = task.vmName ?? task.vmUuid;
  const ended =
    task.endedAt === null
      ? 'open'
      : `${shortTime(task.endedAt)} (${duration(Date.parse(task.endedAt) - Date.parse(task.createdAt))})`;
  return [
    title(`Bringing ${vm} back: ${task.reason}`, paint),
    ...facts(
      [
        ['task', cell(task.uuid)],
        ['state', taskStateCell(task.state)],
        ['asked by', cell(task.judger)],
        ['attempt', cell(task.attempt)],
        ['began', cell(`${shortTime(task.createdAt)} (${relative(task.createdAt, nowMs)})`)],
        ['ended', cell(ended)],
        ['destination', cell(task.destinationHostName ?? task.destinationHostUuid)],
      ],
      paint,
    ),
    ...waitLines(task, nowMs, paint),
    ...section('Steps', stepTable(task.steps.filter(isShown), paint), paint),
    ...section('Proofs', task.proofs.length === 0 ? [] : proofTable(task.proofs, paint), paint),
    ...section('Attempts', attemptLines(task.attempts.filter(isShown), paint), paint),
    ...before,
  ];
}

function section(name: string, lines: string[], paint: Paint): string[] {
  return ['', title(name, paint), ...(lines.length === 0 ? ['  none'] : lines)];
}

function waitLines(task: TaskStoryView, nowMs: number, paint: Paint): string[] {
  if (task.waitsFor === null) return underWayLines(task, nowMs, paint);
  const since = task.waitsSince === null ? '' : ` (since ${relative(task.waitsSince, nowMs)})`;
  return [
    '',
    `${paint(task.endedAt === null ? 'Waits for' : 'Refused', 'bad')}: ${clean(task.waitsFor)}${since}`,
    ...(task.nextTryAt === null ? [] : [`Next try ${relative(task.nextTryAt, nowMs)}.`]),
    ...wayLines(task),
  ];
}

/** While the next attempt is at work, what the last one said is still what somebody can act on. */
function underWayLines(task: TaskStoryView, nowMs: number, paint: Paint): string[] {
  const last = task.attempts.findLast(({ success }) => success === false);
  if (task.endedAt !== null || last === undefined) return [];
  const when = last.endedAt === null ? '' : ` (${relative(last.endedAt, nowMs)})`;
  return [
    '',
    `Attempt ${task.attempt} is under way.`,
    `${paint('Last refusal', 'bad')}: ${clean(last.failure ?? last.reason)}${when}`,
    ...wayLines(task),
  ];
}

function wayLines({ waysOut }: TaskStoryView): string[] {
  return waysOut.length === 0 ? [] : ['Ways out:', ...waysOut.map((way) => `  ${clean(way)}`)];
}

function stepTable(steps: readonly StepView[], paint: Paint): string[] {
  if (steps.length === 0) return [];
  const tones = { done: 'good', failed: 'bad', skipped: 'dim', started: 'warn' } as const;
  return table(
    ['ATTEMPT', 'AT', 'STEP', 'RESULT', 'TOOK', 'DETAIL'],
    steps.map((step) => [
      cell(step.attempt),
      cell(clockTime(step.startedAt)),
      cell(step.name),
      cell(step.result, tones[step.result]),
      cell(step.durationMs === null ? null : duration(step.durationMs)),
      cell(factText(step.detail)),
    ]),
    paint,
  );
}

/** `fenceline task proof` and the proofs of `task show`. */
export function proofTable(proofs: readonly ProofView[], paint: Paint): string[] {
  return table(
    ['AT', 'PROOF', 'RUN', 'SAID BY', 'VALID', 'DIGEST', 'FACTS'],
    proofs.map((proof) => [
      cell(clockTime(proof.createdAt)),
      cell(proof.kind, 'strong'),
      cell(`epoch ${proof.epoch} on ${proof.hostName ?? proof.hostUuid}`),
      cell(proof.source),
      proof.voidedReason === null
        ? cell(proof.usedAt === null ? 'yes' : 'used', 'good')
        : cell(`void: ${proof.voidedReason}`, 'bad'),
      cell(proof.digest.slice(0, 12)),
      cell(factText(proof.facts)),
    ]),
    paint,
  );
}

function attemptLines(attempts: readonly HistoryView[], paint: Paint): string[] {
  return attempts.length === 0 ? [] : historyTable(attempts, paint);
}

/** `fenceline history` */
export function historyTable(attempts: readonly HistoryView[], paint: Paint): string[] {
  return table(
    ['BEGAN', 'VM', 'ATTEMPT', 'RESULT', 'TOOK', 'DESTINATION', 'WHY'],
    attempts.map((each) => [
      cell(shortTime(each.beganAt)),
      cell(each.vmName ?? each.vmUuid, 'strong'),
      cell(each.attempt),
      resultCell(each),
      cell(
        each.endedAt === null
          ? null
          : duration(Date.parse(each.endedAt) - Date.parse(each.beganAt)),
      ),
      cell(each.destinationHostName ?? each.destinationHostUuid),
      cell(each.failure ?? each.reason),
    ]),
    paint,
  );
}

function resultCell({ success }: HistoryView) {
  if (success === null) return cell('under way', 'warn');
  return success ? cell('restarted', 'good') : cell('refused', 'bad');
}

/** Flat facts as `name=value`; nested ones as JSON. */
export function factText(given: Record<string, unknown>): string {
  return Object.entries(given)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}
