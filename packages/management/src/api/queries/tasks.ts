import {
  DomainError,
  type HistoryPage,
  type ListHistoryRequest,
  type ListTasksRequest,
  type ProofView,
  type StepView,
  type TaskPage,
  type TaskStoryView,
  type TaskView,
  type ViewFacts,
} from '@fenceline/protocol';
import type { HaTasksTable } from '../../store/schema.js';
import { fromJson, type Queryable } from '../../store/store.js';
import { findOptional } from './lookup.js';
import { pageAsk, pageOf } from './paging.js';

interface TaskRow extends HaTasksTable {
  vmName: string | null;
  destinationHostName: string | null;
  lastStepAt: string | null;
}

function taskRows(on: Queryable) {
  return on
    .selectFrom('haTasks')
    .leftJoin('vms', 'vms.uuid', 'haTasks.vmUuid')
    .leftJoin('hosts', 'hosts.uuid', 'haTasks.destinationHostUuid')
    .selectAll('haTasks')
    .select(['vms.name as vmName', 'hosts.name as destinationHostName'])
    .select((eb) =>
      eb
        .selectFrom('haTaskSteps')
        .select((step) => step.fn.max('haTaskSteps.endedAt').as('last'))
        .whereRef('haTaskSteps.taskUuid', '=', 'haTasks.uuid')
        .$asScalar()
        .as('lastStepAt'),
    );
}

export async function listTasks(on: Queryable, query: ListTasksRequest): Promise<TaskPage> {
  const ask = pageAsk(query, 2);
  const vm = await findOptional(on, 'vms', query.vm);
  let rows = taskRows(on)
    .orderBy('haTasks.createdAt', 'desc')
    .orderBy('haTasks.uuid', 'desc')
    .limit(ask.limit + 1);
  if (vm !== undefined) rows = rows.where('haTasks.vmUuid', '=', vm);
  if (query.state !== undefined) rows = rows.where('haTasks.state', '=', query.state);
  if (query.open !== undefined)
    rows = rows.where('haTasks.endedAt', query.open ? 'is' : 'is not', null);
  if (ask.after !== undefined) {
    const [at, uuid] = ask.after.map(String);
    rows = rows.where((eb) =>
      eb(eb.refTuple('haTasks.createdAt', 'haTasks.uuid'), '<', eb.tuple(at ?? '', uuid ?? '')),
    );
  }
  return pageOf(await rows.execute(), ask, {
    keys: (row) => [row.createdAt, row.uuid],
    view: taskView,
  });
}

export async function openTasks(on: Queryable): Promise<TaskView[]> {
  const rows = await taskRows(on)
    .where('haTasks.endedAt', 'is', null)
    .orderBy('haTasks.createdAt')
    .orderBy('haTasks.uuid')
    .execute();
  return rows.map(taskView);
}

/** @throws DomainError NOT_FOUND */
export async function showTask(on: Queryable, taskUuid: string): Promise<TaskView> {
  const row = await taskRows(on).where('haTasks.uuid', '=', taskUuid).executeTakeFirst();
  if (row === undefined) {
    const list = 'fenceline task list';
    throw new DomainError('NOT_FOUND', `there is no HA task ${taskUuid}; see: ${list}`);
  }
  return taskView(row);
}

/** @throws DomainError NOT_FOUND */
export async function taskStory(on: Queryable, taskUuid: string): Promise<TaskStoryView> {
  const task = await showTask(on, taskUuid);
  const attempts = await listHistory(on, { taskUuid, limit: 1_000 });
  return Object.assign(task, {
    steps: await stepsOf(on, taskUuid),
    proofs: await proofsOf(on, taskUuid),
    attempts: attempts.items.toReversed(),
  });
}

async function stepsOf(on: Queryable, taskUuid: string): Promise<StepView[]> {
  const rows = await on
    .selectFrom('haTaskSteps')
    .selectAll()
    .where('taskUuid', '=', taskUuid)
    .orderBy('id')
    .execute();
  return rows.map((row) => ({
    attempt: row.attempt,
    name: row.name,
    result: row.result,
    startedAt: row.startedAt,
    endedAt: row.endedAt,
    durationMs: row.durationMs,
    detail: fromJson<ViewFacts>(row.detailJson),
  }));
}

/** The proofs that were made for a task, or that its starts relied on, oldest first. */
export async function proofsOf(on: Queryable, taskUuid: string): Promise<ProofView[]> {
  const attempts = await on
    .selectFrom('history')
    .select('proofDigestsJson')
    .where('taskUuid', '=', taskUuid)
    .execute();
  const digests = attempts.flatMap((row) => fromJson<string[]>(row.proofDigestsJson));
  const rows = await on
    .selectFrom('proofs')
    .leftJoin('hosts', 'hosts.uuid', 'proofs.hostUuid')
    .select(['sequence', 'proofs.uuid', 'taskUuid', 'kind', 'vmUuid', 'epoch', 'hostUuid'])
    .select(['proofs.bootId', 'source', 'factsJson', 'proofs.createdAt', 'expiresAt', 'usedAt'])
    .select(['voidedReason', 'previousDigest', 'digest', 'hosts.name as hostName'])
    .where((eb) => eb.or([eb('taskUuid', '=', taskUuid), eb('digest', 'in', digests)]))
    .orderBy('sequence')
    .execute();
  return rows.map(({ factsJson, ...row }) => ({ ...row, facts: fromJson<ViewFacts>(factsJson) }));
}

export async function listHistory(on: Queryable, query: ListHistoryRequest): Promise<HistoryPage> {
  const ask = pageAsk(query, 2);
  const vm = await findOptional(on, 'vms', query.vm);
  let rows = on
    .selectFrom('history')
    .leftJoin('vms', 'vms.uuid', 'history.vmUuid')
    .leftJoin('hosts', 'hosts.uuid', 'history.destinationHostUuid')
    .select(['history.uuid', 'taskUuid', 'attempt', 'history.vmUuid', 'reason', 'beganAt'])
    .select(['endedAt', 'success', 'destinationHostUuid', 'failure', 'proofDigestsJson'])
    .select(['vms.name as vmName', 'hosts.name as destinationHostName'])
    .orderBy('history.beganAt', 'desc')
    .orderBy('history.uuid', 'desc')
    .limit(ask.limit + 1);
  if (vm !== undefined) rows = rows.where('history.vmUuid', '=', vm);
  if (query.taskUuid !== undefined) rows = rows.where('history.taskUuid', '=', query.taskUuid);
  if (query.success !== undefined) rows = rows.where('history.success', '=', query.success ? 1 : 0);
  if (ask.after !== undefined) {
    const [at, uuid] = ask.after.map(String);
    rows = rows.where((eb) =>
      eb(eb.refTuple('history.beganAt', 'history.uuid'), '<', eb.tuple(at ?? '', uuid ?? '')),
    );
  }
  return pageOf(await rows.execute(), ask, {
    keys: (row) => [row.beganAt, row.uuid],
    view: ({ proofDigestsJson, success, ...row }) => ({
      ...row,
      success: success === null ? null : success === 1,
      proofDigests: fromJson<string[]>(proofDigestsJson),
    }),
  });
}

function taskView(row: TaskRow): TaskView {
  return {
    uuid: row.uuid,
    vmUuid: row.vmUuid,
    vmName: row.vmName,
    reason: row.reason,
    judger: row.judger,
    state: row.state,
    attempt: row.attempt,
    waitsFor: row.waitsFor,
    waitsSince: row.waitsFor === null ? null : (row.lastStepAt ?? row.createdAt),
    waysOut: fromJson<string[]>(row.waysOutJson),
    nextTryAt: row.nextTryAt,
    destinationHostUuid: row.destinationHostUuid,
    destinationHostName: row.destinationHostName,
    ownerUuid: row.ownerUuid,
    taskToken: row.taskToken,
    createdAt: row.createdAt,
    endedAt: row.endedAt,
  };
}
