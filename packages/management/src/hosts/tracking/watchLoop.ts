import { messageOf, sleep, type Clock, type Logger } from '@fenceline/common';
import { TransportError, type TransportFailure, type WatchItem } from '@fenceline/protocol';
import type { AgentAddress, AgentGateway } from '../agentGateway.js';

/** Connecting takes a round trip or two; a lost SYN is sent again after 1 s. */
const OPEN_MS = 3_000;
/** Before each attempt to open the stream again, ms; the last one repeats. */
const REOPEN_MS = [0, 400, 1_000, 2_000] as const;

/** A stream that lived this long is opened again without delay when it ends, ms. */
const STEADY_MS = 1_000;

/** How a stream ended, or why it could not be opened. */
export interface StreamEnd {
  failure: TransportFailure | 'closed';
  message: string;
}

export interface WatchLoopOptions {
  clock: Clock;
  log: Logger;
  gateway: AgentGateway;
  /** Where the agent is now; asked before each attempt. */
  address: () => Promise<AgentAddress>;
  heartbeatEveryMs: () => number;
  /** A stream delivered its first item: from now on nothing is missed. */
  opened: () => void;
  item: (item: WatchItem) => void;
  ended: (end: StreamEnd) => void;
}

/** D1: one stream of one host, opened again whenever it ends, until it is stopped. */
export interface WatchLoop {
  /** Gives up the current stream or attempt and opens a new one at once. */
  reopen(): void;
  stop(): Promise<void>;
}

export function startWatchLoop(options: WatchLoopOptions): WatchLoop {
  const stopping = new AbortController();
  let current = new AbortController();
  let failures = 0;

  /** Reads one stream to its end. Settles when told to, even if the gateway does not react. */
  const read = async (signal: AbortSignal): Promise<StreamEnd> => {
    try {
      return await untilAborted(signal, () => pump(signal));
    } catch (thrown) {
      return endOf(thrown);
    }
  };
  const pump = async (signal: AbortSignal): Promise<StreamEnd> => {
    const heartbeatEveryMs = options.heartbeatEveryMs();
    const how = { heartbeatEveryMs, connectTimeoutMs: OPEN_MS, signal };
    let openedMs: number | undefined;
    for await (const item of options.gateway.watch(await options.address(), how)) {
      if (signal.aborted) break;
      const nowMs = options.clock.monotonicMs();
      if (openedMs === undefined) options.opened();
      openedMs ??= nowMs;
      if (nowMs - openedMs >= STEADY_MS) failures = 0;
      options.item(item);
    }
    return { failure: 'closed', message: 'the agent closed the stream' };
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      current = new AbortController();
      const signal = AbortSignal.any([current.signal, stopping.signal]);
      const end = await read(signal);
      if (stopping.signal.aborted) return;
      options.log.debug('watch stream ended', { failure: end.failure, error: end.message });
      options.ended(end);
      const waitMs = REOPEN_MS[Math.min(failures, REOPEN_MS.length - 1)] ?? 0;
      failures += 1;
      // A reopen that was asked for meanwhile ends the wait.
      await sleep(options.clock, waitMs, signal).catch(() => undefined);
    }
  };
  const done = run();
  return {
    reopen() {
      failures = 0;
      current.abort(new Error('the stream is opened anew'));
    },
    async stop() {
      stopping.abort(new Error('tracking stops'));
      await done;
    },
  };
}

function untilAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(new TransportError('aborted', 'the stream is given up'));
    signal.addEventListener('abort', abort, { once: true });
    work()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}

function endOf(thrown: unknown): StreamEnd {
  const failure = thrown instanceof TransportError ? thrown.failure : 'other';
  return { failure, message: messageOf(thrown) };
}
