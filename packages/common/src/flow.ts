import { asError, messageOf } from './failure.js';
import type { Logger } from './logger.js';

/**
 * One named step of a flow (C3). `run` does it; `rollback` undoes it and is asked also when this
 * step's own `run` failed halfway. A step that `skip` answers true for is neither run nor rolled
 * back.
 */
export interface Step<Context> {
  readonly name: string;
  readonly skip?: (context: Context) => boolean;
  readonly run: (context: Context) => Promise<void>;
  readonly rollback?: (context: Context, why: Error) => Promise<void>;
}

export interface Flow<Context> {
  readonly name: string;
  readonly steps: readonly Step<Context>[];
}

/**
 * Watches a flow go: durable recorders, timelines, tests. A throw of `before`, or of `after` with
 * `done`, fails the step: what can't be recorded has not happened. `failed` is told when all
 * rollbacks are over.
 */
export interface FlowObserver {
  before?(step: string): Promise<void>;
  after?(step: string, result: 'done' | 'failed' | 'skipped'): Promise<void>;
}

export class FlowError extends Error {
  constructor(
    readonly flow: string,
    readonly step: string,
    readonly why: Error,
  ) {
    super(why.message, { cause: why });
    this.name = 'FlowError';
  }
}

export function flow<Context>(name: string, steps: readonly Step<Context>[]): Flow<Context> {
  return Object.freeze({ name, steps: Object.freeze([...steps]) });
}

export interface RunOptions {
  log: Logger;
  observer?: FlowObserver | undefined;
}

/**
 * Runs the steps in order. If one throws: its own rollback first, then those of the earlier steps
 * in reverse; skipped steps are left out; a rollback that throws is logged and the rest goes on.
 * A throw of `skip` or of the observer's `before` fails the step too, which then never began: only
 * the earlier ones are rolled back. What the observer throws after a failure is logged.
 * @throws FlowError with the step's name and what it threw.
 */
export async function runFlow<Context>(
  toRun: Flow<Context>,
  context: Context,
  options: RunOptions,
): Promise<void> {
  const started: Step<Context>[] = [];
  for (const step of toRun.steps) {
    try {
      await runStep(step, context, { observer: options.observer, started });
    } catch (thrown) {
      const why = asError(thrown);
      await rollBack(started, context, { why, log: options.log });
      await tellFailed(step, options);
      throw new FlowError(toRun.name, step.name, why);
    }
  }
}

async function runStep<Context>(
  step: Step<Context>,
  context: Context,
  { observer, started }: { observer: FlowObserver | undefined; started: Step<Context>[] },
): Promise<void> {
  if (step.skip?.(context) === true) {
    await observer?.after?.(step.name, 'skipped');
    return;
  }
  await observer?.before?.(step.name);
  started.push(step);
  await step.run(context);
  await observer?.after?.(step.name, 'done');
}

async function tellFailed<Context>(step: Step<Context>, options: RunOptions): Promise<void> {
  try {
    await options.observer?.after?.(step.name, 'failed');
  } catch (thrown) {
    options.log.error('a failed step could not be recorded', {
      step: step.name,
      error: messageOf(thrown),
    });
  }
}

async function rollBack<Context>(
  started: readonly Step<Context>[],
  context: Context,
  { why, log }: { why: Error; log: Logger },
): Promise<void> {
  for (const step of started.toReversed()) {
    try {
      await step.rollback?.(context, why);
    } catch (thrown) {
      log.error('rollback failed, the rest goes on', {
        step: step.name,
        error: messageOf(thrown),
      });
    }
  }
}
