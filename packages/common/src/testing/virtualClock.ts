import type { Clock, MonotonicMs, Timer, WallMs } from '../clock.js';
import { assert } from '../failure.js';

interface Waiting {
  dueMs: MonotonicMs;
  /** Timers of one moment run in the order in which they were set. */
  order: number;
  action: () => void;
}

/** More timers than this in one step of time is a loop without delay. */
const MOST_TIMERS_PER_ADVANCE = 1_000_000;

/**
 * Time that stands still until a test moves it. Timers run one after the other by due time, then in
 * the order in which they were set; between two of them everything that promises and immediates can
 * do is done ("drained": one macrotask turn). Same calls, same order, same result.
 */
export class VirtualClock implements Clock {
  #nowMs: MonotonicMs = 0;
  #wallAheadMs: WallMs;
  #order = 0;
  #advancing = false;
  readonly #timers = new Set<Waiting>();

  /** @param startWallMs time of day at the start, milliseconds since 1970 UTC. */
  constructor(startWallMs: WallMs = Date.UTC(2026, 0, 1)) {
    this.#wallAheadMs = startWallMs;
  }

  monotonicMs(): MonotonicMs {
    return this.#nowMs;
  }

  wallMs(): WallMs {
    return this.#nowMs + this.#wallAheadMs;
  }

  after(ms: number, action: () => void): Timer {
    this.#order += 1;
    const timer = { dueMs: this.#nowMs + Math.max(0, ms), order: this.#order, action };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The time of day jumps by `ms` (may be negative); elapsed time does not see it. */
  stepWall(ms: number): void {
    this.#wallAheadMs += ms;
  }

  /**
   * Lets `ms` pass: every timer that comes due runs, those too that are set meanwhile.
   * @throws what a timer's action throws; Error if timers set each other without end.
   */
  async advance(ms: number): Promise<void> {
    await this.#alone(() => this.#advanceTo(this.#nowMs + ms));
  }

  /**
   * Lets time pass, from timer to timer, until `work` settles, and gives its result.
   * @throws what `work` throws; Error if it has not settled after `limitMs`, or nothing is left
   * that could settle it.
   */
  async settle<T>(work: Promise<T>, limitMs = 24 * 3_600_000): Promise<T> {
    const seen = { settled: false };
    const mark = (): void => {
      seen.settled = true;
    };
    work.then(mark, mark);
    await this.#alone(async () => {
      const endMs = this.#nowMs + limitMs;
      await drained();
      while (!seen.settled) {
        const next = this.#next();
        if (next === undefined) throw new Error('nothing is left that could settle this');
        if (next.dueMs > endMs) throw new Error(`not settled within ${limitMs} ms`);
        await this.#run(next);
      }
    });
    return work;
  }

  async #advanceTo(endMs: MonotonicMs): Promise<void> {
    await drained();
    for (let ran = 0; ran <= MOST_TIMERS_PER_ADVANCE; ran += 1) {
      const next = this.#next();
      if (next === undefined || next.dueMs > endMs) {
        this.#nowMs = endMs;
        return;
      }
      await this.#run(next);
    }
    throw new Error(`more than ${MOST_TIMERS_PER_ADVANCE} timers: they set each other without end`);
  }

  async #run(timer: Waiting): Promise<void> {
    this.#timers.delete(timer);
    this.#nowMs = timer.dueMs;
    timer.action();
    await drained();
  }

  #next(): Waiting | undefined {
    let first: Waiting | undefined;
    for (const timer of this.#timers)
      if (first === undefined || isBefore(timer, first)) first = timer;
    return first;
  }

  async #alone(move: () => Promise<void>): Promise<void> {
    assert(!this.#advancing, 'one hand moves the clock: await the earlier advance');
    this.#advancing = true;
    try {
      await move();
    } finally {
      this.#advancing = false;
    }
  }
}

function isBefore(a: Waiting, b: Waiting): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** Settles when everything that promises and immediates can do now has been done. */
export function drained(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
