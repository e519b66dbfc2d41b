import type { HaStartVmInstanceMsg } from '../../messages/types.js';
import type { HaTasksTable } from '../../store/schema.js';
import { fromJson } from '../../store/store.js';

/** One attempt after another to bring one VM back. */
export interface HaTask extends Omit<
  HaTasksTable,
  'siblingHostUuidsJson' | 'softAvoidHostUuidsJson' | 'waysOutJson'
> {
  siblingHostUuids: readonly string[];
  softAvoidHostUuids: readonly string[];
  waysOut: readonly string[];
}

export function taskOf(row: HaTasksTable): HaTask {
  const { siblingHostUuidsJson, softAvoidHostUuidsJson, waysOutJson, ...rest } = row;
  return {
    ...rest,
    siblingHostUuids: fromJson<string[]>(siblingHostUuidsJson),
    softAvoidHostUuids: fromJson<string[]>(softAvoidHostUuidsJson),
    waysOut: fromJson<string[]>(waysOutJson),
  };
}

/** An attempt may take so long in all; every wait inside has its own, shorter limit. */
export const HA_START_TIMEOUT_MS = 15 * 60_000;

/** The message that runs the next attempt of a task. */
export function messageOf(task: HaTask): HaStartVmInstanceMsg {
  return {
    vmUuid: task.vmUuid,
    reason: task.reason,
    judger: task.judger,
    siblingHostUuids: task.siblingHostUuids,
    softAvoidHostUuids: task.softAvoidHostUuids,
    timeoutMs: HA_START_TIMEOUT_MS,
    taskId: task.uuid,
    ...(task.preferredHostUuid === null ? {} : { preferredHostUuid: task.preferredHostUuid }),
  };
}

/**
 * When a refused task is tried again, in milliseconds.
 * @param refusals how often it was refused since it began or since the cluster changed, from 1.
 */
export function retryDelayMs(backoffMin: readonly number[], refusals: number): number {
  const index = Math.min(refusals, backoffMin.length - 1);
  return (backoffMin[index] ?? 0) * 60_000;
}
