import type { Response } from 'express';
import { messageOf } from '../failure.js';
import type { Logger } from '../logger.js';

/** How items are written: one JSON per line, or server-sent events. */
export type StreamFormat = 'ndjson' | 'sse';

/** How long a reader may leave a full socket unread before it is cut, milliseconds. */
const STUCK_READER_MS = 30_000;

export interface StreamOptions {
  format: StreamFormat;
  /** Fires when the caller is gone or this process stops: the stream ends then, and the iterator. */
  signal: AbortSignal;
  log: Logger;
}

/** Writes items until they end, the signal fires, or the reader is stuck. Never throws. */
export async function sendStream(
  response: Response,
  items: AsyncIterable<object>,
  options: StreamOptions,
): Promise<void> {
  const sse = options.format === 'sse';
  response.status(200).type(sse ? 'text/event-stream' : 'application/x-ndjson');
  response.set('cache-control', 'no-store').flushHeaders();
  response.socket?.setNoDelay(true);
  const iterator = items[Symbol.asyncIterator]();
  try {
    // An iterator may wait for long: the end of the stream does not wait for it.
    await Promise.race([pump(response, iterator, options), fired(options.signal)]);
    response.end();
  } catch (error) {
    options.log.warn('a stream ended early', { error: messageOf(error) });
    // A clean end would look as if all items had been sent.
    response.destroy();
  }
  finish(iterator, options.log);
}

async function pump(
  response: Response,
  iterator: AsyncIterator<object>,
  { format, signal }: StreamOptions,
): Promise<void> {
  while (!signal.aborted) {
    const next = await iterator.next();
    if (next.done === true || signal.aborted) return;
    const text = JSON.stringify(next.value);
    const room = response.write(format === 'sse' ? `data: ${text}\n\n` : `${text}\n`);
    if (!room) await drained(response);
  }
}

/** Tells an iterator that nobody reads; one that never reacts is left alone. */
function finish(iterator: AsyncIterator<object>, log: Logger): void {
  iterator.return?.().catch((error: unknown) => {
    log.warn('a stream did not end well', { error: messageOf(error) });
  });
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function drained(response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer);
      response.off('drain', done).off('close', done);
      resolve();
    };
    const timer = setTimeout(() => {
      response.off('drain', done).off('close', done);
      reject(new Error(`the reader took nothing for ${STUCK_READER_MS} ms`));
    }, STUCK_READER_MS);
    response.once('drain', done).once('close', done);
  });
}
