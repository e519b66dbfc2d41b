import { LabError } from './labError.js';

/** Rejects with `what` if the promise has not settled in time; the work itself goes on. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new LabError(`${what}: no answer within ${ms} ms.`)), ms);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

export interface PollOptions {
  readonly limitMs: number;
  /** Completes the sentence "waited … ms for". */
  readonly what: string;
  /** Default 20. */
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
}

/** Asks until the answer is true. @throws LabError after the limit, or the signal's reason. */
export async function until(ask: () => boolean | Promise<boolean>, options: PollOptions) {
  const end = performance.now() + options.limitMs;
  for (;;) {
    options.signal?.throwIfAborted();
    if (await ask()) return;
    if (performance.now() > end) {
      throw new LabError(`Waited ${options.limitMs} ms for ${options.what}, in vain.`);
    }
    await sleep(options.everyMs ?? 20);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
