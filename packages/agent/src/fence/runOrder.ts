import { TimeoutError, withLimit, type Clock } from '@fenceline/common';
import { encodeOrder, type FenceOrder } from './order.js';
import { AnswerReader, type ProgramAnswer } from './programAnswer.js';
import type { ProgramSession, SessionEnd } from './programSession.js';

/** After the last line the program closes its output at once; this is for a slow network. */
const CLOSE_WAIT_MS = 500;

export interface OrderResult {
  answer: ProgramAnswer;
  /** Undefined: the time was over first. */
  end: SessionEnd | undefined;
}

export interface OrderLimits {
  clock: Clock;
  /** Milliseconds until the session is given up. */
  limitMs: number;
  signal: AbortSignal;
  /** Called with each line that comes. */
  heard?: () => void;
}

/**
 * Gives one order to a fence program, on this host or another, and reads its answer. Settles within
 * `limitMs`; the session is closed then, whatever happened.
 * @throws the signal's reason if it fires.
 */
export async function runOrder(
  session: ProgramSession,
  order: FenceOrder,
  limits: OrderLimits,
): Promise<OrderResult> {
  const reader = new AnswerReader(order);
  for (const line of encodeOrder(order)) session.writeLine(line);
  session.endInput();
  try {
    const end = await withLimit(
      { clock: limits.clock, ms: limits.limitMs, what: 'fence program', signal: limits.signal },
      (signal) => readAnswer(session, reader, { clock: limits.clock, signal }),
    );
    return { answer: reader.answer, end };
  } catch (error) {
    if (error instanceof TimeoutError) return { answer: reader.answer, end: undefined };
    throw error;
  } finally {
    session.close();
  }
}

async function readAnswer(
  session: ProgramSession,
  reader: AnswerReader,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<SessionEnd | undefined> {
  while (reader.answer.end === undefined) {
    const line = await session.nextLine();
    if (line === undefined || signal.aborted) return session.ended;
    reader.push(line);
  }
  // safety: F22: what follows the end line takes it back, so it is read to the end of the output; a
  // channel that something keeps open behind a complete answer does not hold up the verdict
  const limit = { clock, ms: CLOSE_WAIT_MS, what: 'end of the output', signal };
  try {
    return await withLimit(limit, () => readRest(session, reader));
  } catch (error) {
    if (error instanceof TimeoutError) return undefined;
    throw error;
  }
}

async function readRest(session: ProgramSession, reader: AnswerReader): Promise<SessionEnd> {
  let line = await session.nextLine();
  while (line !== undefined) {
    reader.push(line);
    line = await session.nextLine();
  }
  return session.ended;
}
