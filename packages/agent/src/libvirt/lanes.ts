import { DomainError } from '@fenceline/protocol';

/** At most `width` pieces of work at once; the rest waits in order, at most `waiting` of them. */
export interface WorkLane {
  /** @throws DomainError REFUSED if too many wait; else what `work` throws. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function makeWorkLane(name: string, limits: { width: number; waiting: number }): WorkLane {
  let running = 0;
  const waiting: (() => void)[] = [];
  const enter = (): Promise<void> => {
    if (running < limits.width) {
      running += 1;
      return Promise.resolve();
    }
    if (waiting.length >= limits.waiting)
      throw new DomainError('REFUSED', `too much work waits in lane ${name} (${limits.waiting})`);
    return new Promise((resolve) => waiting.push(resolve));
  };
  const leave = (): void => {
    const next = waiting.shift();
    // The place goes straight to the next one, so `running` stays.
    if (next === undefined) running -= 1;
    else next();
  };
  return {
    async run(work) {
      await enter();
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
