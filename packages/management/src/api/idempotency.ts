import { createHash } from 'node:crypto';
import {
  problemError,
  type Clock,
  type Dispatched,
  type Dispatcher,
  type IncomingCall,
  type MonotonicMs,
} from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';

const KEEP_MS = 24 * 60 * 60 * 1_000;
const MAX_KEPT = 4_096;

interface Kept {
  /** What was asked under this key. */
  asked: string;
  atMs: MonotonicMs;
  answer: Promise<Dispatched>;
}

/**
 * A POST with an idempotency key is done once: a repeat by the same caller gets the first answer,
 * also while that is still at work. Kept for a day, in memory, at most 4,096; failures that may
 * pass (5xx, 429) are not kept.
 */
export function onlyOnce(inner: Dispatcher, clock: Clock): Dispatcher {
  const kept = new Map<string, Kept>();
  return {
    async handle(call) {
      const { idempotencyKey: key } = call;
      if (key === undefined || call.method !== 'POST') return inner.handle(call);
      if (key.length > 255 || key === '')
        return refusal(new DomainError('BAD_INPUT', 'Idempotency-Key: 1 to 255 characters'));
      const id = digest([call.caller.name, call.caller.role, key]);
      const asked = digest([call.path, call.fields]);
      const known = kept.get(id);
      if (known !== undefined && clock.monotonicMs() - known.atMs < KEEP_MS) {
        if (known.asked === asked) return known.answer;
        return refusal(
          new DomainError('CONFLICT', 'this Idempotency-Key was used for another request'),
        );
      }
      return first(inner, call, (answer) => {
        kept.set(id, { asked, atMs: clock.monotonicMs(), answer });
        const oldest = kept.keys().next().value;
        if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
        return () => kept.delete(id);
      });
    },
  };
}

async function first(
  inner: Dispatcher,
  call: IncomingCall,
  keep: (answer: Promise<Dispatched>) => () => void,
): Promise<Dispatched> {
  const answer = inner.handle(call);
  const forget = keep(answer);
  const done = await answer;
  if (done.kind === 'answer' && (done.answer.status >= 500 || done.answer.status === 429)) forget();
  return done;
}

function refusal(error: DomainError): Dispatched {
  return { kind: 'answer', answer: { status: error.status, body: problemError(error) } };
}

/** Only digests are kept: a body may hold a secret. */
function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
