import { sleep, type Clock, type MonotonicMs } from '@fenceline/common';
import {
  dashed,
  type LineWay,
  type FenceStage,
  type FenceTarget,
  type FenceVm,
} from '@fenceline/protocol';
import { outputLimit } from './answers.js';
import { askSigns } from './askSigns.js';
import type { CallTokens } from './callTokens.js';
import type { StandingLine } from './lines/standingLine.js';
import { encodeOrder, type FenceOrder } from './order.js';
import type { OutputSummary } from './programSession.js';
import { runOrder } from './runOrder.js';
import type { SignsOfLife } from './signsOfLife.js';
import type { SshDialer } from './sshDialer.js';
import type { Evidence } from './verdict.js';

/** Kept of the call's time for the answer to travel, milliseconds. */
export const ANSWER_MARGIN_MS = 300;
/** Shortest time that is worth an order: the program refuses less. */
const SHORTEST_ORDER_MS = 200;

/** One order to the suspect, and what came of it. */
export interface Attempt {
  /** A line over SSH or through the door, or a login anew. */
  way: LineWay | 'login';
  /** Each order has a nonce of its own: an answer to another one counts for nothing (F22). */
  nonce: string;
  stages: { name: FenceStage; ms: number }[];
  evidence: Evidence;
  output?: OutputSummary;
  answerMs?: number;
}

export interface AttemptPorts {
  clock: Clock;
  dialer: SshDialer;
  signs: SignsOfLife;
}

export interface AttemptJob {
  target: FenceTarget;
  vms: readonly FenceVm[];
  /** Without those that are this host's own. */
  addresses: readonly string[];
  /** Its token is claimed when it is written. */
  order: FenceOrder;
  tokens: CallTokens;
  /** Monotonic. */
  begunMs: number;
  untilMs: number;
}

/** Over a standing line: no login, no new process on the suspect (F27). */
export async function overLine(
  { clock }: Pick<AttemptPorts, 'clock'>,
  line: StandingLine,
  { job, signal, heard }: { job: AttemptJob; signal: AbortSignal; heard: () => void },
): Promise<Attempt> {
  const begun = clock.monotonicMs();
  const limitMs = job.untilMs - begun;
  const attempt = noAnswerTo(job.order, line.way);
  attempt.stages = [{ name: 'line', ms: begun - job.begunMs }];
  const deadlineMs = limitMs - ANSWER_MARGIN_MS;
  if (deadlineMs < SHORTEST_ORDER_MS || !line.isFree || signal.aborted) return attempt;
  const claimed = job.tokens.claim();
  if (claimed === undefined) return attempt;
  const limits = { clock, limitMs, signal, heard };
  // safety: F29a: written in the same turn in which its token was claimed
  const result = await line.order({ ...job.order, ...claimed, deadlineMs }, limits);
  attempt.evidence = { kind: 'session', ...result };
  attempt.output = line.output();
  attempt.answerMs = clock.monotonicMs() - begun;
  return attempt;
}

/** By a login anew, while it is looked for signs of life in case that it fails. */
export async function overLogin(
  ports: AttemptPorts,
  { job, signal }: { job: AttemptJob; signal: AbortSignal },
): Promise<Attempt> {
  const { clock } = ports;
  const leftMs = job.untilMs - clock.monotonicMs();
  const attempt = noAnswerTo(job.order, 'login');
  if (!job.tokens.areLeft) return attempt;
  const noSigns = new AbortController();
  const signs = askSigns({
    ...ports,
    target: job.target,
    addresses: job.addresses,
    leftMs,
    signal: AbortSignal.any([signal, noSigns.signal]),
  });
  try {
    const { target } = job;
    const dialed = await ports.dialer.dial(sshTarget(job), {
      connectMs: Math.min(target.connectTimeoutMs, leftMs),
      totalMs: leftMs,
      maxOutputBytes: outputLimit(encodeOrder(job.order)),
      signal,
    });
    attempt.stages = [...dialed.stages];
    if (dialed.ok) {
      // Nobody asks for them any more, and the programs that look cost the order its time.
      noSigns.abort(new Error('the login succeeded'));
      await giveOrder(ports, { job, attempt, session: dialed.session }, signal);
    } else {
      const silent = dialed.failure === 'hostUnreachable' || dialed.failure === 'connectTimeout';
      attempt.evidence = { kind: 'noSession', failure: dialed.failure, signs: undefined };
      if (silent) attempt.evidence.signs = await signs;
    }
  } finally {
    noSigns.abort(new Error('the login has given its answer'));
  }
  return attempt;
}

/** Nothing is known yet. */
export function noAnswerTo({ nonce }: FenceOrder, way: Attempt['way']): Attempt {
  return {
    way,
    nonce,
    stages: [],
    evidence: { kind: 'noSession', failure: 'connectTimeout', signs: undefined },
  };
}

function sshTarget({ target, addresses }: AttemptJob): Parameters<SshDialer['dial']>[0] {
  return {
    addresses,
    port: target.targetHostSshPort,
    username: target.targetHostUsername,
    hostKeys: target.targetHostKeys,
    ...(target.credential === undefined
      ? {}
      : { credential: { sealed: target.credential, targetHostUuid: target.targetHostUuid } }),
  };
}

async function giveOrder(
  { clock }: AttemptPorts,
  { job, attempt, session }: { job: AttemptJob; attempt: Attempt; session: LoggedIn },
  signal: AbortSignal,
): Promise<void> {
  const begun = clock.monotonicMs();
  const limitMs = job.untilMs - begun;
  const deadlineMs = limitMs - ANSWER_MARGIN_MS;
  const tooLate = deadlineMs < SHORTEST_ORDER_MS || signal.aborted;
  const claimed = tooLate ? undefined : job.tokens.claim();
  if (claimed === undefined) {
    session.close();
    return;
  }
  try {
    const order = { ...job.order, ...claimed, deadlineMs };
    // safety: F29a: written in the same turn in which its token was claimed
    const result = await runOrder(session, order, { clock, limitMs, signal });
    attempt.evidence = { kind: 'session', ...result };
  } finally {
    attempt.output = session.output();
    attempt.answerMs = clock.monotonicMs() - begun;
  }
}

type LoggedIn = Parameters<typeof runOrder>[0];

/** How much an attempt says: of two, the one that says more is the call's answer. */
export function weight({ way, evidence, nonce, output }: Attempt, hostUuid: string): number {
  if (evidence.kind === 'noSession') return 0;
  const { answer, end } = evidence;
  const whole =
    answer.end !== undefined && (end === undefined || (end.kind === 'exit' && end.code === 0));
  const itsOwn = answer.end?.nonce === nonce && answer.end.host === dashed(hostUuid);
  // One that could not look has said nothing that another, with more memory at hand, would not say better.
  if (whole && itsOwn && answer.end?.control === 'ok') return 3;
  // safety: F23, F24: what a session had found is not undone by a second try that failed
  if ([...answer.vms.values()].some(({ found }) => found.length > 0)) return 2;
  // A line that only fell silent shows nothing; a login shows that somebody lives there.
  return way === 'login' || itsOwn || (output?.stdoutBytes ?? 0) > 0 ? 1 : 0;
}

/** The next way is tried beside one that has said nothing for so long, milliseconds. */
export const LINE_HEAD_START_MS = 300;
/** Beside one that has begun its work, after this much more than the work takes, milliseconds. */
const WORK_MS = 1_000;

/** @param heard to be called with each sign that the other side is at work. */
export type Try = (signal: AbortSignal, heard: () => void) => Promise<Attempt>;

interface Race {
  clock: Clock;
  hostUuid: string;
  /** Between `virsh destroy` and SIGKILL: so long a program at work is silent. */
  killGraceMs: number;
}

/**
 * One try after the other, each beginning as soon as the one before has failed or has been silent
 * for too long; settles with the one that says most as soon as one says all. The others are told to
 * stop then.
 */
export async function firstToSay(
  race: Race,
  tries: readonly Try[],
  outer: AbortSignal,
): Promise<Attempt> {
  const { clock, hostUuid } = race;
  const enough = new AbortController();
  const signal = AbortSignal.any([outer, enough.signal]);
  const begun: Promise<Attempt>[] = [];
  try {
    for (const one of tries) {
      const ear: Ear = {};
      const attempt = one(signal, () => (ear.heardMs = clock.monotonicMs()));
      begun.push(attempt);
      if (begun.length === tries.length) break;
      const isWhole = (said: Attempt): Attempt | undefined =>
        weight(said, hostUuid) === 3 ? said : undefined;
      const latest = attempt.then(isWhole, nothing);
      const silent = silence(race, ear, signal).catch(nothing);
      const early = await Promise.race([latest, firstWhole(begun, hostUuid), silent]);
      if (early !== undefined) return early;
    }
    return await mostSaid(begun, hostUuid);
  } finally {
    enough.abort(new Error('the order has its answer'));
  }
}

interface Ear {
  heardMs?: MonotonicMs;
}

/** Settles when nothing was heard for too long. */
async function silence(
  { clock, killGraceMs }: Race,
  ear: Ear,
  signal: AbortSignal,
): Promise<undefined> {
  await sleep(clock, LINE_HEAD_START_MS, signal);
  for (;;) {
    if (ear.heardMs === undefined) return undefined;
    const leftMs = ear.heardMs + killGraceMs + WORK_MS - clock.monotonicMs();
    if (leftMs <= 0) return undefined;
    await sleep(clock, leftMs, signal);
  }
}

const nothing = (): undefined => undefined;

/** The first that says all; undefined when all have settled and none does. */
function firstWhole(
  tries: readonly Promise<Attempt>[],
  hostUuid: string,
): Promise<Attempt | undefined> {
  const wholes = tries.map(async (one) => {
    const attempt = await one;
    if (weight(attempt, hostUuid) < 3) throw new Error('not all of it');
    return attempt;
  });
  return Promise.any(wholes).catch(nothing);
}

/** The first that says all; else, of those that came, the one that says most, later ones first. */
async function mostSaid(tries: readonly Promise<Attempt>[], hostUuid: string): Promise<Attempt> {
  const whole = await firstWhole(tries, hostUuid);
  if (whole !== undefined) return whole;
  const settled = await Promise.allSettled(tries);
  const came = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const [best] = came.toReversed().toSorted((a, b) => weight(b, hostUuid) - weight(a, hostUuid));
  if (best === undefined) throw new Error('no order could be given');
  return best;
}
