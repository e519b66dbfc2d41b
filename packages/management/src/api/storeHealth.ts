import {
  errorCode,
  isoNow,
  messageOf,
  type Clock,
  type Logger,
  type Timer,
} from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { Store } from '../store/store.js';

const PROBE_EVERY_MS = 10_000;
/** Anybody may ask `/readyz`, so that a fresh answer is shared. */
const FRESH_MS = 2_000;
const PROBE_KEY = 'health.probe';

/** Whether the database takes writes: without it nothing may act, as nothing is durable. */
export interface StoreHealth {
  /** Why it takes no writes, with what to do; undefined: it does, as far as is known. */
  problem(): string | undefined;
  /** Writes one row, unless that was done a moment ago; true if it worked. Never throws. */
  probe(): Promise<boolean>;
  /** Looks at an error that came up anywhere: if the store failed, that is known from now on. */
  note(error: unknown): void;
  /** Ends the regular probes. */
  stop(): void;
}

export interface StoreHealthDeps {
  store: Store;
  clock: Clock;
  log: Logger;
}

/** Starts to probe the database regularly, so that the alarm and its end come by themselves. */
export function watchStore(deps: StoreHealthDeps): StoreHealth {
  const { clock, log } = deps;
  let problem: string | undefined;
  let probedAtMs = Number.NEGATIVE_INFINITY;
  let running: Promise<boolean> | undefined;
  let timer: Timer | undefined;
  let stopped = false;

  const tell = (next: string | undefined): void => {
    if (next !== undefined && problem === undefined)
      log.error('the database takes no writes', { problem: next });
    if (next === undefined && problem !== undefined) log.info('the database takes writes again');
    problem = next;
  };
  const run = async (): Promise<boolean> => {
    try {
      await writeProbe(deps);
      tell(undefined);
    } catch (error) {
      tell(storeProblem(error) ?? `the database takes no writes (${messageOf(error)})`);
    }
    probedAtMs = clock.monotonicMs();
    return problem === undefined;
  };
  const probe = async (): Promise<boolean> => {
    if (clock.monotonicMs() - probedAtMs < FRESH_MS) return problem === undefined;
    running ??= run().finally(() => (running = undefined));
    return running;
  };
  const again = (): void => {
    timer = clock.after(PROBE_EVERY_MS, () => {
      void probe().then(() => {
        if (!stopped) again();
      });
    });
  };
  again();

  return {
    problem: () => problem,
    probe,
    note: (error) => {
      const found = storeProblem(error);
      if (found !== undefined) tell(found);
    },
    stop: () => {
      stopped = true;
      timer?.cancel();
    },
  };
}

async function writeProbe({ store, clock }: StoreHealthDeps): Promise<void> {
  const value = isoNow(clock);
  await store.db
    .insertInto('meta')
    .values({ key: PROBE_KEY, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}

/** What is wrong with the store, in a sentence with what to do; undefined: it is something else. */
export function storeProblem(error: unknown): string | undefined {
  const code = errorCode(error) ?? '';
  if (code === 'SQLITE_FULL')
    return 'the disk of the state directory is full: free some space; until then nothing is started';
  if (code.startsWith('SQLITE_IOERR') || code === 'SQLITE_READONLY')
    return `the disk of the state directory fails (${code}): check it; until then nothing is started`;
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB')
    return 'the database is damaged: stop the server and restore a backup';
  return undefined;
}

/** An error for the caller: a failing store has a code of its own. */
export function explainStoreError(error: unknown): unknown {
  const problem = storeProblem(error);
  return problem === undefined ? error : new DomainError('STORE_FAILED', problem);
}
