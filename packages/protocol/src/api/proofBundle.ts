import { IsIn, IsInt, IsObject, Matches, Min } from 'class-validator';
import { applyDecorators, type PropertyRule } from '../decorators.js';
import { Epoch, List, Nullable, Part, required, Text, Uuid } from '../rules.js';
import { Time } from './rules.js';
import type { ViewFacts } from './tasks.js';
import { RUN_STATES, TASK_STATES, type RunState, type TaskState } from './values.js';

/** A SHA-256, hex. */
const Digest = (): PropertyRule =>
  applyDecorators(Matches(/^[0-9a-f]{64}$/, { message: '$property must be a SHA-256 in hex' }));

export class BundleTaskView {
  @Uuid() uuid = required<string>();
  @Uuid() vmUuid = required<string>();
  @Nullable() @Text(256) vmName: string | null = null;
  @Text() reason = required<string>();
  @Text(64) judger = required<string>();
  @IsIn(TASK_STATES) state = required<TaskState>();
  @IsInt() @Min(0) attempt = required<number>();
  @Time() createdAt = required<string>();
  @Nullable() @Time() endedAt: string | null = null;
}

export class BundleStartView {
  @Epoch() epoch = required<number>();
  @Uuid() hostUuid = required<string>();
  @Text(64) bootId = required<string>();
  @Time() openedAt = required<string>();
  /** Its place in the chain; 0: it has none. */
  @IsInt() @Min(0) sequence = required<number>();
  @Digest() previousDigest = required<string>();
  @Digest() digest = required<string>();
}

/** A run that a bundle has no room for, by the digest of the proof that closed it. */
export class BundleLeftOutView {
  @Epoch() epoch = required<number>();
  @Digest() proofDigest = required<string>();
}

export class BundleRunView {
  @Epoch() epoch = required<number>();
  @Uuid() hostUuid = required<string>();
  @Text(64) bootId = required<string>();
  @IsIn(RUN_STATES) state = required<RunState>();
  @Time() openedAt = required<string>();
  @Nullable() @Time() closedAt: string | null = null;
  @Nullable() @Uuid() proofUuid: string | null = null;
}

export class BundleProofView {
  @IsInt() @Min(1) sequence = required<number>();
  @Uuid() uuid = required<string>();
  @Nullable() @Uuid() taskUuid: string | null = null;
  @Text(64) kind = required<string>();
  @Uuid() vmUuid = required<string>();
  @Epoch() epoch = required<number>();
  @Uuid() hostUuid = required<string>();
  @Text(64) bootId = required<string>();
  @Text(2_048) source = required<string>();
  /** The raw evidence: whoever has it can judge it anew. */
  @IsObject() facts = required<ViewFacts>();
  @Time() createdAt = required<string>();
  @Nullable() @Time() expiresAt: string | null = null;
  @Nullable() @Time() usedAt: string | null = null;
  @Nullable() @Text() voidedReason: string | null = null;
  @Digest() previousDigest = required<string>();
  @Digest() digest = required<string>();
}

/** A place in the chain: enough to follow it, nothing of the proof that stands there. */
export class ChainLinkView {
  @IsInt() @Min(1) sequence = required<number>();
  @Digest() bodyDigest = required<string>();
  @Digest() digest = required<string>();
}

export class ChainHeadView {
  @IsInt() @Min(0) sequence = required<number>();
  @Digest() digest = required<string>();
}

export class BundleDigestsView {
  @Digest() about = required<string>();
  @Digest() task = required<string>();
  @Digest() start = required<string>();
  @Digest() runs = required<string>();
  @Digest() proofs = required<string>();
  @Digest() links = required<string>();
}

/** Everything that shows why a task was allowed to start its VM; can be verified by itself. */
export class ProofBundleView {
  @Text(64) format = required<string>();
  @IsInt() version = required<number>();
  @Time() exportedAt = required<string>();
  @Uuid() databaseIncarnation = required<string>();
  @Part(() => BundleTaskView) task = required<BundleTaskView>();
  /** The last run that the task was granted; null: none. */
  @Nullable() @Part(() => BundleStartView) start: BundleStartView | null = null;
  @List(() => BundleRunView) runs = required<BundleRunView[]>();
  @List(() => BundleLeftOutView) leftOut = required<BundleLeftOutView[]>();
  @List(() => BundleProofView) proofs = required<BundleProofView[]>();
  @List(() => ChainLinkView) links = required<ChainLinkView[]>();
  @Part(() => ChainHeadView) head = required<ChainHeadView>();
  @Part(() => BundleDigestsView) digests = required<BundleDigestsView>();
}
