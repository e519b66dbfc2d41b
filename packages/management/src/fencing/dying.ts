import type { Clock } from '@fenceline/common';
import type { PeerEvidence } from '../messages/types.js';
import type { Run } from '../vms/runs/run.js';

/** The order reached it, and only its end is missing. */
const DYING: readonly string[] = ['stillAlive', 'notDrained', 'otherWriter'];

/** Between orders that came to nothing, where no process is left to look for: twice as long each time. */
const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 30 * 60_000;
/** Runs that are remembered; the oldest are forgotten, and get an order in place of a look. */
const MAX_RUNS = 4_096;

type RunKey = Pick<Run, 'hostUuid' | 'vmUuid' | 'epoch' | 'bootId'>;

interface Told {
  /** Those that were there at the end of the last order. */
  processes: ReadonlySet<string>;
  orders: number;
  atMs: number;
}

/** What a look shows of a run that was told to die. */
export type LookWord =
  /** As before: another order would do nothing more. */
  | 'still-there'
  /** It changed: an order may have more success now. */
  | 'changed'
  /** Nothing of it is there, as at the last orders, and it is too early for another one. */
  | 'too-early'
  | 'not-answered';

/**
 * Runs whose qemus were told to die and could not, as their storage hangs. SIGKILL waits in their
 * kernel: a look shows whether they are still there, and costs no order token.
 */
export class DyingRuns {
  readonly #told = new Map<string, Told>();

  constructor(private readonly clock: Pick<Clock, 'monotonicMs'>) {}

  has(run: RunKey): boolean {
    return this.#told.has(keyOf(run));
  }

  /** What came of an order. @returns whether only the end is missing. */
  noteOrder(run: RunKey, evidence: readonly PeerEvidence[]): boolean {
    const key = keyOf(run);
    const orders = this.#told.get(key)?.orders ?? 0;
    this.#told.delete(key);
    const dying = evidence.filter(({ outcome }) => DYING.includes(outcome));
    if (dying.length === 0) return false;
    const alive = dying.filter(({ outcome }) => outcome === 'stillAlive');
    const processes = new Set(alive.flatMap(({ killed }) => killed.map(nameOf)));
    const [oldest] = this.#told.keys();
    if (oldest !== undefined && this.#told.size >= MAX_RUNS) this.#told.delete(oldest);
    this.#told.set(key, { processes, orders: orders + 1, atMs: this.clock.monotonicMs() });
    return true;
  }

  judgeLook(run: RunKey, evidence: readonly PeerEvidence[]): LookWord {
    const told = this.#told.get(keyOf(run));
    if (told === undefined) return 'changed';
    const answers = evidence.filter(
      ({ hostUuid, bootId }) => hostUuid === run.hostUuid && bootId !== undefined,
    );
    if (answers.length === 0) return 'not-answered';
    if (answers.some(({ bootId }) => bootId !== run.bootId)) return 'changed';
    const there = answers.flatMap(({ killed }) => killed.map(nameOf));
    if (there.length > 0)
      return there.every((name) => told.processes.has(name)) ? 'still-there' : 'changed';
    if (told.processes.size > 0) return 'changed';
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (told.orders - 1), LONGEST_WAIT_MS);
    return this.clock.monotonicMs() - told.atMs < waitMs ? 'too-early' : 'changed';
  }
}

function keyOf({ hostUuid, vmUuid, epoch, bootId }: RunKey): string {
  return `${hostUuid} ${bootId} ${vmUuid} ${epoch}`;
}

function nameOf({ pid, startTime }: PeerEvidence['killed'][number]): string {
  return `${pid} ${startTime}`;
}
