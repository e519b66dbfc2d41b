import { isoNow, type Clock } from '@fenceline/common';
import type { TaskState } from '../../store/schema.js';
import type { Queryable } from '../../store/store.js';

export interface AttemptEnd {
  state: TaskState;
  success: boolean;
  destinationHostUuid?: string | undefined;
  failure?: string | undefined;
  waysOut?: readonly string[];
  /** Milliseconds until the next try; absent = none. */
  retryInMs?: number | undefined;
  /** The task is over. */
  ended: boolean;
  proofDigests: readonly string[];
}

/** States without an attempt under way. */
const AT_REST: readonly TaskState[] = ['waiting', 'refused', 'paused'];

export interface EndAsk {
  taskUuid: string;
  end: AttemptEnd;
}

/** Ends the attempt's history row, once, and moves the task on. */
export async function endAttempt(
  tx: Queryable,
  clock: Clock,
  { taskUuid, attempt, end }: EndAsk & { attempt: number },
): Promise<void> {
  const steps = await tx
    .selectFrom('haTaskSteps')
    .select(['name', 'result', 'durationMs'])
    .where('taskUuid', '=', taskUuid)
    .where('attempt', '=', attempt)
    .orderBy('id')
    .execute();
  await tx
    .updateTable('history')
    .set({
      endedAt: isoNow(clock),
      success: end.success ? 1 : 0,
      destinationHostUuid: end.destinationHostUuid ?? null,
      failure: end.failure ?? null,
      proofDigestsJson: JSON.stringify(end.proofDigests),
      stepsJson: JSON.stringify(steps),
    })
    .where('taskUuid', '=', taskUuid)
    .where('attempt', '=', attempt)
    // Once: a row that has ended stays as it is.
    .where('endedAt', 'is', null)
    .execute();
  const nextTryAt =
    end.retryInMs === undefined ? null : new Date(clock.wallMs() + end.retryInMs).toISOString();
  await tx
    .updateTable('haTasks')
    .set({
      state: end.state,
      waitsFor: end.failure ?? null,
      waysOutJson: JSON.stringify(end.waysOut ?? []),
      nextTryAt,
      endedAt: end.ended ? isoNow(clock) : null,
    })
    .where('uuid', '=', taskUuid)
    .where('endedAt', 'is', null)
    .execute();
}

/** Looks and ends in one transaction: no attempt can begin in between. @returns whether it ended. */
export async function endAtRest(
  tx: Queryable,
  clock: Clock,
  { taskUuid, end }: EndAsk,
): Promise<boolean> {
  const task = await tx
    .selectFrom('haTasks')
    .select('attempt')
    .where('uuid', '=', taskUuid)
    .where('endedAt', 'is', null)
    .where('state', 'in', AT_REST)
    .executeTakeFirst();
  if (task === undefined) return false;
  await endAttempt(tx, clock, { taskUuid, attempt: task.attempt, end });
  return true;
}
