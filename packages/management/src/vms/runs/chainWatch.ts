import { messageOf, type Logger } from '@fenceline/common';
import type { Store } from '../../store/store.js';
import type { Events } from '../../telemetry/events.js';
import { chainBrokenAt } from './chain.js';

export interface ChainWatchDeps {
  store: Store;
  log: Logger;
  events: Events;
}

/** Follows the stored chain of proofs and starts once, at each start of the server. */
export interface ChainWatch {
  /** Returns at once: a long chain must not keep VMs from being brought back. */
  start(): void;
  /** The first place that does not hold, as a sentence; undefined: none was found so far. */
  problem(): string | undefined;
  stop(): Promise<void>;
}

export function makeChainWatch({ store, log, events }: ChainWatchDeps): ChainWatch {
  let text: string | undefined;
  let following: Promise<void> = Promise.resolve();
  const stopping = new AbortController();
  const follow = async (): Promise<void> => {
    const place = await chainBrokenAt(store.db, stopping.signal);
    if (place === undefined) return;
    text = `the chain of proofs does not hold from place ${place} on: the database was changed by something else`;
    await events.record({
      kind: 'proofs.chainBroken',
      severity: 'critical',
      text,
      facts: { place },
    });
  };
  return {
    start: () => {
      following = follow().catch((thrown: unknown) => {
        if (!stopping.signal.aborted)
          log.error('the chain of proofs could not be followed', { error: messageOf(thrown) });
      });
    },
    problem: () => text,
    stop: async () => {
      stopping.abort(new Error('this server is stopping'));
      await following;
    },
  };
}
