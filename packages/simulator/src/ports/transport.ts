import { asError, type Caller, type Dispatched, type StreamTransport } from '@fenceline/common';
import {
  refusalOf,
  TransportError,
  type CallOptions,
  type RawAnswer,
  type Transport,
  type TransportFailure,
  type TransportRequest,
} from '@fenceline/protocol';
import type { SimHost } from '../world/host.js';
import { AGENT_PORT, connectionTo, kernelAt, type Listener, type Origin } from './connection.js';
import { makeItems, type Items } from './items.js';

/** Where a call goes and as whom. */
export interface CallTarget {
  address: string;
  port: number;
  caller: Caller;
}

/** HTTPS in a simulated network: JSON both ways, failures as a socket shows them. */
export function simTransport(origin: Origin, target: CallTarget): Transport & StreamTransport {
  return {
    send: (request, options) => send(origin, target, { request, options }),
    open: (request, options) => {
      const items = makeItems();
      const stop = call(origin, target, {
        request,
        limitMs: options.connectTimeoutMs,
        signal: options.signal,
        answered: (dispatched, connection) => {
          if (dispatched.kind === 'answer') {
            items.fail(refusalOf(request.path, throughJson(dispatched.answer)));
            return 'over';
          }
          void pump(dispatched.items, { items, back: connection.back });
          return 'open';
        },
        failed: (failure, message) => items.fail(new TransportError(failure, message)),
      });
      return items.read(stop);
    },
  };
}

function send(
  origin: Origin,
  target: CallTarget,
  { request, options }: { request: TransportRequest; options: CallOptions },
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    call(origin, target, {
      request,
      limitMs: options.deadlineMs,
      signal: options.signal,
      answered: (dispatched) => {
        if (dispatched.kind === 'answer') resolve(throughJson(dispatched.answer));
        else reject(new TransportError('other', 'a stream came where an answer was expected'));
        return 'over';
      },
      failed: (failure, message) => reject(new TransportError(failure, message)),
    });
  });
}

interface Call {
  request: TransportRequest;
  /** Until an answer, or a stream's beginning, is there. */
  limitMs: number;
  signal: AbortSignal | undefined;
  answered: (
    dispatched: Dispatched,
    connection: ReturnType<typeof connectionTo>,
  ) => 'over' | 'open';
  failed: (failure: TransportFailure, message: string) => void;
}

/** One request over one connection; returns how to give it up. Calls back at most once each. */
function call(origin: Origin, target: CallTarget, one: Call): () => void {
  const { world, life } = origin;
  const there = new AbortController();
  const undo: (() => void)[] = [];
  let over = false;
  const finish = (): boolean => {
    if (over) return false;
    over = true;
    for (const action of undo) action();
    return true;
  };
  const fail = (failure: TransportFailure, message: string): void => {
    if (finish()) one.failed(failure, message);
  };
  const timer = world.clock.after(one.limitMs, () =>
    fail('timeout', `no answer within ${one.limitMs} ms`),
  );
  undo.push(() => timer.cancel());
  const onAbort = (): void => fail('aborted', 'aborted');
  if (one.signal?.aborted === true) {
    fail('aborted', 'aborted');
    return () => undefined;
  }
  one.signal?.addEventListener('abort', onAbort, { once: true });
  undo.push(() => one.signal?.removeEventListener('abort', onAbort));
  undo.push(life.onEnd(() => void finish()));

  const host = kernelAt(origin, target.address);
  // Silence: the time-out speaks.
  if (host === undefined) return () => void finish();
  const connection = connectionTo(origin, host.name);
  undo.push(connection.close, () => connection.there(() => there.abort(new Error('closed'))));
  const listener = target.port === AGENT_PORT ? origin.listeners.on(host) : undefined;
  if (listener === undefined) {
    connection.there(() => connection.back(() => fail('refused', 'ECONNREFUSED')));
    return () => void finish();
  }
  undo.push(
    listener.life.onEnd(() => {
      // A dead program's kernel says so; a host without power says nothing.
      if (host.isOn) connection.back(() => fail('reset', 'ECONNRESET'));
    }),
  );
  connection.there(() =>
    serve(listener, { ...one.request, caller: target.caller, signal: there.signal }, (dispatched) =>
      connection.back(() => {
        if (over) return;
        timer.cancel();
        if (one.answered(dispatched, connection) === 'over') finish();
      }),
    ),
  );
  traceCall(origin, host, one.request);
  return () => void finish();
}

/** The call as the program there gets it, and its answer as it leaves. */
function serve(
  { life, dispatcher }: Listener,
  request: TransportRequest & { caller: Caller; signal: AbortSignal },
  answer: (dispatched: Dispatched) => void,
): void {
  const { method, path, caller, signal } = request;
  const json = JSON.parse(JSON.stringify(request.fields)) as Record<string, unknown>;
  const inQuery = method === 'GET' || method === 'DELETE';
  const fields = inQuery
    ? Object.fromEntries(Object.entries(json).map(([name, value]) => [name, String(value)]))
    : json;
  life.run(() => {
    void life.answer(dispatcher.handle({ method, path, fields, caller, signal })).then(answer);
  });
}

async function pump(
  source: AsyncIterable<object>,
  { items, back }: { items: Items; back: (action: () => void) => void },
): Promise<void> {
  try {
    for await (const item of source) {
      const text = JSON.stringify(item);
      back(() => items.push(JSON.parse(text)));
    }
    back(() => items.end());
  } catch (error) {
    back(() => items.fail(new TransportError('reset', asError(error).message)));
  }
}

function throughJson({ status, body }: RawAnswer): RawAnswer {
  return { status, body: JSON.parse(JSON.stringify(body)) as unknown };
}

/** Calls that change something are part of the trace. */
function traceCall({ world, node }: Origin, host: SimHost, { path }: TransportRequest): void {
  if (/\/(?:start|destroy|peer|connect)$/.test(path))
    world.trace.add(node, `-> ${host.name} ${path}`);
}
