import { isoNow, type Clock, type Random } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { JudgerName, TaskState } from '../../store/schema.js';
import type { Store } from '../../store/store.js';
import { endAtRest, endAttempt, type AttemptEnd } from './ending.js';
import { taskOf, type HaTask } from './task.js';

export type { AttemptEnd } from './ending.js';

export interface NewTask {
  vmUuid: string;
  reason: string;
  judger: JudgerName;
  siblingHostUuids: readonly string[];
  softAvoidHostUuids: readonly string[];
  preferredHostUuid?: string | undefined;
}

/** HA tasks and their history, durable. */
export interface Tasks {
  find(taskUuid: string): Promise<HaTask | undefined>;
  openTaskOf(vmUuid: string): Promise<HaTask | undefined>;
  open(): Promise<HaTask[]>;
  /** The VM's open task, or a new one; never two (the database refuses). */
  openOrCreate(task: NewTask): Promise<HaTask>;
  /** Fresher siblings and reason for a task that waits. */
  refresh(taskUuid: string, task: NewTask): Promise<void>;
  /** Begins the next attempt with its history row (F9). @throws CONFLICT if the task has ended. */
  beginAttempt(taskUuid: string): Promise<HaTask>;
  setState(taskUuid: string, state: TaskState): Promise<void>;
  setDestination(taskUuid: string, hostUuid: string): Promise<void>;
  /** Ends the attempt's history row, once, and moves the task on. */
  endAttempt(taskUuid: string, attempt: number, end: AttemptEnd): Promise<void>;
  /** The same if no attempt is under way, in one transaction. @returns whether it was done. */
  endAtRest(taskUuid: string, end: AttemptEnd): Promise<boolean>;
  /** Records the beginning of a step before it acts; resolves to how to end it (F10). */
  beginStep(task: Pick<HaTask, 'uuid' | 'attempt'>, name: string): Promise<EndStep>;
  /** It rests, and this is what for. */
  hold(taskUuid: string, why: string): Promise<void>;
  /** The next try is due now. */
  retryNow(taskUuid: string): Promise<void>;
}

export type EndStep = (
  result: 'done' | 'failed' | 'skipped',
  detail?: Record<string, unknown>,
) => Promise<void>;

export interface TaskTools {
  store: Store;
  clock: Clock;
  random: Random;
  /** This management node and its epoch (rows carry owner and epoch). */
  owner: { serverUuid: string; ownerEpoch: number };
  /** Told of each step right after its beginning, and its end, became durable. */
  onStep?: ((step: StepMark) => void) | undefined;
}

/** A step of a task at the moment at which the store knows of it. */
export interface StepMark {
  taskUuid: string;
  name: string;
  phase: 'began' | 'ended';
}

export function makeTasks(tools: TaskTools): Tasks {
  const { store, clock } = tools;
  const { db } = store;
  const update = (taskUuid: string) => db.updateTable('haTasks').where('uuid', '=', taskUuid);
  return {
    find: (taskUuid) => findTask(tools, taskUuid),
    openTaskOf: (vmUuid) => openTaskOf(tools, vmUuid),
    open: async () => {
      const rows = await db
        .selectFrom('haTasks')
        .selectAll()
        .where('endedAt', 'is', null)
        .orderBy('createdAt')
        .execute();
      return rows.map(taskOf);
    },
    openOrCreate: (task) => openOrCreate(tools, task),
    refresh: async (taskUuid, task) => {
      await update(taskUuid)
        .set({
          reason: task.reason,
          siblingHostUuidsJson: JSON.stringify(task.siblingHostUuids),
        })
        .execute();
      // What a person ordered stays ordered, whatever else speaks for it later.
      await update(taskUuid).set({ judger: task.judger }).where('judger', '!=', 'manual').execute();
    },
    beginAttempt: (taskUuid) => beginAttempt(tools, taskUuid),
    setState: async (taskUuid, state) => {
      await update(taskUuid).set({ state }).execute();
    },
    setDestination: async (taskUuid, hostUuid) => {
      await update(taskUuid).set({ destinationHostUuid: hostUuid }).execute();
    },
    endAttempt: (taskUuid, attempt, end) =>
      store.transaction((tx) => endAttempt(tx, clock, { taskUuid, attempt, end })),
    endAtRest: (taskUuid, end) =>
      store.transaction((tx) => endAtRest(tx, clock, { taskUuid, end })),
    beginStep: (task, name) => beginStep(tools, task, name),
    hold: async (taskUuid, waitsFor) => {
      await update(taskUuid)
        .set({ waitsFor })
        .where('endedAt', 'is', null)
        .where('state', 'in', ['refused', 'waiting'])
        .execute();
    },
    retryNow: async (taskUuid) => {
      await update(taskUuid)
        .set({ nextTryAt: isoNow(clock) })
        .where('endedAt', 'is', null)
        .where('state', 'in', ['refused', 'waiting', 'paused'])
        .execute();
    },
  };
}

async function findTask({ store }: TaskTools, taskUuid: string): Promise<HaTask | undefined> {
  const row = await store.db
    .selectFrom('haTasks')
    .selectAll()
    .where('uuid', '=', taskUuid)
    .executeTakeFirst();
  return row === undefined ? undefined : taskOf(row);
}

async function openTaskOf({ store }: TaskTools, vmUuid: string): Promise<HaTask | undefined> {
  const row = await store.db
    .selectFrom('haTasks')
    .selectAll()
    .where('vmUuid', '=', vmUuid)
    .where('endedAt', 'is', null)
    .executeTakeFirst();
  return row === undefined ? undefined : taskOf(row);
}

async function openOrCreate({ store, clock, random, owner }: TaskTools, task: NewTask) {
  return store.transaction(async (tx) => {
    const there = await tx
      .selectFrom('haTasks')
      .selectAll()
      .where('vmUuid', '=', task.vmUuid)
      .where('endedAt', 'is', null)
      .executeTakeFirst();
    if (there !== undefined) return taskOf(there);
    const row = {
      uuid: random.uuid(),
      vmUuid: task.vmUuid,
      taskToken: owner.ownerEpoch,
      ownerUuid: owner.serverUuid,
      reason: task.reason,
      judger: task.judger,
      siblingHostUuidsJson: JSON.stringify(task.siblingHostUuids),
      softAvoidHostUuidsJson: JSON.stringify(task.softAvoidHostUuids),
      preferredHostUuid: task.preferredHostUuid ?? null,
      state: 'waiting' as const,
      attempt: 0,
      waitsFor: 'its turn',
      waysOutJson: '[]',
      nextTryAt: isoNow(clock),
      destinationHostUuid: null,
      createdAt: isoNow(clock),
      endedAt: null,
    };
    await tx.insertInto('haTasks').values(row).execute();
    return taskOf(row);
  });
}

async function beginAttempt({ store, clock, random, owner }: TaskTools, taskUuid: string) {
  return store.transaction(async (tx) => {
    const row = await tx
      .selectFrom('haTasks')
      .selectAll()
      .where('uuid', '=', taskUuid)
      .executeTakeFirst();
    if (row === undefined || row.endedAt !== null)
      throw new DomainError('CONFLICT', `HA task ${taskUuid} has ended`);
    const change = {
      attempt: row.attempt + 1,
      state: 'judging' as const,
      taskToken: owner.ownerEpoch,
      ownerUuid: owner.serverUuid,
      waitsFor: null,
      nextTryAt: null,
    };
    await tx.updateTable('haTasks').set(change).where('uuid', '=', taskUuid).execute();
    await tx
      .insertInto('history')
      .values({
        uuid: random.uuid(),
        taskUuid,
        attempt: change.attempt,
        vmUuid: row.vmUuid,
        reason: row.reason,
        beganAt: isoNow(clock),
        endedAt: null,
        success: null,
        destinationHostUuid: null,
        failure: null,
        proofDigestsJson: '[]',
        stepsJson: '[]',
      })
      .execute();
    return taskOf({ ...row, ...change });
  });
}

async function beginStep(
  { store, clock, onStep }: TaskTools,
  task: Pick<HaTask, 'uuid' | 'attempt'>,
  name: string,
): Promise<EndStep> {
  const beganMs = clock.monotonicMs();
  const { id } = await store.db
    .insertInto('haTaskSteps')
    .values({
      taskUuid: task.uuid,
      attempt: task.attempt,
      name,
      result: 'started',
      startedAt: isoNow(clock),
      endedAt: null,
      durationMs: null,
      detailJson: '{}',
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  onStep?.({ taskUuid: task.uuid, name, phase: 'began' });
  return async (result, detail = {}) => {
    await store.db
      .updateTable('haTaskSteps')
      .set({
        result,
        endedAt: isoNow(clock),
        durationMs: Math.round(clock.monotonicMs() - beganMs),
        detailJson: JSON.stringify(detail),
      })
      .where('id', '=', id)
      .execute();
    onStep?.({ taskUuid: task.uuid, name, phase: 'ended' });
  };
}
