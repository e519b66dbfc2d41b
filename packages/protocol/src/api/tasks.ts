import {
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsString,
  MaxLength,
  Min,
} from 'class-validator';
import { BooleanInQuery, Epoch, List, Nullable, Optional, required, Text, Uuid } from '../rules.js';
import { Page, PageQuery, Reason, Ref, Time } from './rules.js';
import { STEP_RESULTS, TASK_STATES, type StepResult, type TaskState } from './values.js';

/** Flat facts beside a sentence. */
export type ViewFacts = Record<string, unknown>;

export class TaskView {
  @Uuid() uuid = required<string>();
  @Uuid() vmUuid = required<string>();
  @Nullable() @Text(256) vmName: string | null = null;
  @Text() reason = required<string>();
  @Text(64) judger = required<string>();
  @IsIn(TASK_STATES) state = required<TaskState>();
  @IsInt() @Min(0) attempt = required<number>();
  /** What it waits for or why it was refused (D15). */
  @Nullable() @Text(8_192) waitsFor: string | null = null;
  @Nullable() @Time() waitsSince: string | null = null;
  /** Manual ways out, as commands. */
  @IsArray() @IsString({ each: true }) @MaxLength(1_024, { each: true }) waysOut =
    required<string[]>();
  @Nullable() @Time() nextTryAt: string | null = null;
  @Nullable() @Uuid() destinationHostUuid: string | null = null;
  @Nullable() @Text(256) destinationHostName: string | null = null;
  @Uuid() ownerUuid = required<string>();
  @IsInt() @Min(0) taskToken = required<number>();
  @Time() createdAt = required<string>();
  @Nullable() @Time() endedAt: string | null = null;
}

export class StepView {
  @IsInt() @Min(0) attempt = required<number>();
  @Text(128) name = required<string>();
  @IsIn(STEP_RESULTS) result = required<StepResult>();
  @Time() startedAt = required<string>();
  @Nullable() @Time() endedAt: string | null = null;
  @Nullable() @IsInt() durationMs: number | null = null;
  @IsObject() detail = required<ViewFacts>();
}

/** The evidence that closed a run; part of a chain of digests, so that it can be verified. */
export class ProofView {
  @IsInt() @Min(0) sequence = required<number>();
  @Uuid() uuid = required<string>();
  @Nullable() @Uuid() taskUuid: string | null = null;
  @Text(64) kind = required<string>();
  @Uuid() vmUuid = required<string>();
  @Epoch() epoch = required<number>();
  @Uuid() hostUuid = required<string>();
  @Nullable() @Text(256) hostName: string | null = null;
  @Text(64) bootId = required<string>();
  /** Who said so. */
  @Text(512) source = required<string>();
  @IsObject() facts = required<ViewFacts>();
  @Time() createdAt = required<string>();
  @Nullable() @Time() expiresAt: string | null = null;
  /** When a start was sent that stands on it. */
  @Nullable() @Time() usedAt: string | null = null;
  /** Why it can't be used any more (F41). */
  @Nullable() @Text() voidedReason: string | null = null;
  @Text(64) previousDigest = required<string>();
  @Text(64) digest = required<string>();
}

/** One attempt of a task (F9). */
export class HistoryView {
  @Uuid() uuid = required<string>();
  @Uuid() taskUuid = required<string>();
  @IsInt() @Min(0) attempt = required<number>();
  @Uuid() vmUuid = required<string>();
  @Nullable() @Text(256) vmName: string | null = null;
  @Text() reason = required<string>();
  @Time() beganAt = required<string>();
  @Nullable() @Time() endedAt: string | null = null;
  /** null while it runs. */
  @Nullable() @IsBoolean() success: boolean | null = null;
  @Nullable() @Uuid() destinationHostUuid: string | null = null;
  @Nullable() @Text(256) destinationHostName: string | null = null;
  @Nullable() @Text(8_192) failure: string | null = null;
  @IsArray() @IsString({ each: true }) proofDigests = required<string[]>();
}

/** A task with all that happened. */
export class TaskStoryView extends TaskView {
  @List(() => StepView) steps = required<StepView[]>();
  @List(() => ProofView) proofs = required<ProofView[]>();
  @List(() => HistoryView) attempts = required<HistoryView[]>();
}

export class TaskPage extends Page {
  @List(() => TaskView) items = required<TaskView[]>();
}

export class ProofPage extends Page {
  @List(() => ProofView) items = required<ProofView[]>();
}

export class HistoryPage extends Page {
  @List(() => HistoryView) items = required<HistoryView[]>();
}

export class ListTasksRequest extends PageQuery {
  @Optional() @Ref() vm?: string;
  @Optional() @IsIn(TASK_STATES) state?: TaskState;
  /** Only tasks that have not ended (`true`) or have (`false`). */
  @Optional() @BooleanInQuery() @IsBoolean() open?: boolean;
}

export class TaskRequest {
  @Uuid() taskUuid = required<string>();
}

export class TaskRetryRequest extends TaskRequest {
  @Optional() @Reason() reason?: string;
}

export class TaskAbandonRequest extends TaskRequest {
  @Reason() reason = required<string>();
}

export class ListHistoryRequest extends PageQuery {
  @Optional() @Ref() vm?: string;
  @Optional() @Uuid() taskUuid?: string;
  @Optional() @BooleanInQuery() @IsBoolean() success?: boolean;
}
