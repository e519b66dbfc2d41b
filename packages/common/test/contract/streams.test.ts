import { afterAll, describe, expect, test } from '@jest/globals';
import { DomainError, WatchItem } from '@fenceline/protocol';
import {
  type CallContext,
  openStream,
  sleep,
  type StreamFormat,
  systemClock,
} from '../../src/index.js';
import { drained } from '../../src/testing/index.js';
import { Certificates } from './certificates.js';
import { failureOf, Rig, type Watch, watchRoute } from './rig.js';

const certificates = new Certificates();
const rigs: Rig[] = [];

afterAll(async () => {
  await Promise.all(rigs.map((rig) => rig.server.stop()));
});

async function serve(watch: Watch, streamFormat: StreamFormat = 'ndjson'): Promise<Rig> {
  const rig = await Rig.start({ certificates, watch, server: { streamFormat } });
  rigs.push(rig);
  return rig;
}

function open(rig: Rig, signal: AbortSignal = new AbortController().signal, unit = 'server') {
  const transport = rig.transport(unit);
  const call = { transport, route: watchRoute, request: { heartbeatEveryMs: 500 } };
  return openStream(call, { connectTimeoutMs: 3_000, signal });
}

function item(sequence: number, fields: Partial<WatchItem> = {}): WatchItem {
  return Object.assign(new WatchItem(), { sequence, bootId: 'b' }, fields);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (holds()) return;
    await sleep(systemClock, 10);
  }
  throw new Error(`never: ${what}`);
}

/** Waits for the signal, as a handler should. */
function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

describe.each<StreamFormat>(['ndjson', 'sse'])('a stream as %s', (format) => {
  test('gives each item as it happens, then its end', async () => {
    let seen = 0;
    const rig = await serve(async function* (request) {
      for (let sequence = 0; sequence < 3; sequence += 1) {
        // The next item waits until the reader has this one: nothing is held back on the way.
        await until('the reader has the item before', () => seen === sequence);
        yield item(sequence, { load1: request.heartbeatEveryMs ?? 0, agentInstance: 'ü\n€' });
      }
    }, format);
    const got: WatchItem[] = [];
    for await (const each of open(rig)) {
      got.push(each);
      seen += 1;
    }
    expect(got).toEqual([0, 1, 2].map((n) => item(n, { load1: 500, agentInstance: 'ü\n€' })));
    expect(got[0]).toBeInstanceOf(WatchItem);
  });

  test('has no bound on its length', async () => {
    const filler = Array.from({ length: 64 }, () => 'x').join('');
    const rig = await serve(async function* () {
      for (let n = 0; n < 1_000; n += 1)
        yield Object.assign(item(n, { agentInstance: filler }), { padding: 'y'.repeat(20_000) });
    }, format);
    let count = 0;
    for await (const each of open(rig)) count += each.agentInstance === filler ? 1 : 0;
    expect(count).toBe(1_000);
  });
});

describe('the end of a stream', () => {
  /** Heartbeats until the signal fires; tells when its iterator has ended. */
  function beating(state: { ended: boolean; context?: CallContext }): Watch {
    return async function* (_, context) {
      state.context = context;
      try {
        yield item(0);
        await fired(context.signal);
      } finally {
        state.ended = true;
      }
    };
  }

  test("the client's signal ends it there and here", async () => {
    const state = { ended: false };
    const rig = await serve(beating(state));
    const stop = new AbortController();
    const items = open(rig, stop.signal);
    expect((await items.next()).value).toMatchObject({ sequence: 0 });
    stop.abort();
    const error = await failureOf(items.next());
    expect(error).toMatchObject({ name: 'TransportError', failure: 'aborted' });
    await until('the iterator ended', () => state.ended);
  });

  test('a client that stops reading ends it too', async () => {
    const state: { ended: boolean; context?: CallContext } = { ended: false };
    const rig = await serve(beating(state));
    for await (const each of open(rig)) {
      expect(each.sequence).toBe(0);
      break;
    }
    await until('the iterator ended', () => state.ended);
    expect(state.context?.signal.reason).toMatchObject({ message: 'the caller is gone' });
  });

  test('a stop of the server ends it, and the iterator', async () => {
    const state = { ended: false };
    const rig = await serve(beating(state));
    const items = open(rig);
    await items.next();
    await rig.server.stop();
    expect(await items.next()).toEqual({ done: true, value: undefined });
    await until('the iterator ended', () => state.ended);
  });

  test('a stop does not wait for an iterator that hears nothing', async () => {
    const rig = await serve(async function* () {
      yield item(0);
      await new Promise(() => undefined);
    });
    const items = open(rig);
    await items.next();
    const beganMs = systemClock.monotonicMs();
    await rig.server.stop();
    expect(systemClock.monotonicMs() - beganMs).toBeLessThan(2_500);
    expect((await items.next()).done).toBe(true);
  });

  test('an iterator that hears no signal is told by its return', async () => {
    let returned = false;
    const items: AsyncIterableIterator<WatchItem> = {
      next: () => new Promise(() => undefined),
      return: () => {
        returned = true;
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]: () => items,
    };
    const rig = await serve(() => items);
    const stop = new AbortController();
    const next = failureOf(open(rig, stop.signal).next());
    await sleep(systemClock, 200);
    stop.abort();
    expect(await next).toMatchObject({ failure: 'aborted' });
    await until('the iterator was told', () => returned);
  });

  test('a handler that breaks breaks the stream: no clean end, no details', async () => {
    const rig = await serve(async function* () {
      yield item(0);
      // The item leaves before the socket is cut.
      await sleep(systemClock, 50);
      throw new Error('canary');
    });
    const items = open(rig);
    await items.next();
    const error = await failureOf(items.next());
    expect(error).toMatchObject({ name: 'TransportError', failure: 'reset' });
    expect(error.message).not.toContain('canary');
    expect(rig.logged).toEqual(['a stream ended early']);
  });

  test('a reader that is slow holds the handler back', async () => {
    let made = 0;
    const rig = await serve(async function* () {
      for (; made < 100_000; made += 1)
        yield Object.assign(item(made), { padding: 'y'.repeat(100_000) });
    });
    const items = open(rig);
    await items.next();
    await sleep(systemClock, 300);
    const before = made;
    await sleep(systemClock, 200);
    expect(made).toBe(before);
    expect(made).toBeLessThan(1_000);
    await items.return(undefined);
  });
});

describe('a stream that is not opened', () => {
  test('a role that may not: refused with its code, no item', async () => {
    const rig = await serve(async function* () {
      yield item(0);
    });
    const error = await failureOf(open(rig, undefined, 'sibling').next());
    expect(error).toMatchObject({ name: 'RemoteError', status: 403, code: 'FORBIDDEN' });
  });

  test('a handler may refuse before the first item', async () => {
    const rig = await serve(() => {
      throw new DomainError('CONFLICT', 'one watch at a time');
    });
    const error = await failureOf(open(rig).next());
    expect(error).toMatchObject({ name: 'RemoteError', status: 409, code: 'CONFLICT' });
  });

  test('an item that is not what the route promises', async () => {
    const rig = await serve(async function* () {
      yield Object.assign(item(0), { kind: 'surprise' });
    });
    expect(await failureOf(open(rig).next())).toMatchObject({ name: 'BadAnswerError' });
    await drained();
  });
});
