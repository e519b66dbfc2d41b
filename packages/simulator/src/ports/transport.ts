import {
  asError,
  type Caller,
  type Dispatched,
  type StreamTransport,
  type Timer,
} from '@fenceline/common';
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
import {
  AGENT_PORT,
  connectionTo,
  kernelAt,
  type Connection,
  type Listener,
  type Origin,
} from './connection.js';
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
      const call = new SimCall(origin, target, {
        request,
        limitMs: options.connectTimeoutMs,
        signal: options.signal,
        answered: (dispatched, connection) => {
          if (dispatched.kind === 'answer') {
            items.fail(refusalOf(request.path, throughJson(dispatched.answer)));
            return 'over';
          }
          void pump(dispatched.items, { items, connection });
          return 'open';
        },
        failed: (error) => items.fail(error),
      });
      call.begin();
      return items.read(() => call.giveUp());
    },
  };
}

function send(
  origin: Origin,
  target: CallTarget,
  { request, options }: { request: TransportRequest; options: CallOptions },
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    new SimCall(origin, target, {
      request,
      limitMs: options.deadlineMs,
      signal: options.signal,
      answered: (dispatched) => {
        if (dispatched.kind === 'answer') resolve(throughJson(dispatched.answer));
        else reject(new TransportError('other', 'a stream came where an answer was expected'));
        return 'over';
      },
      failed: reject,
    }).begin();
  });
}

interface Ask {
  request: TransportRequest;
  /** Until an answer, or a stream's beginning, is there. */
  limitMs: number;
  signal: AbortSignal | undefined;
  /** `open`: more is to come on this connection. */
  answered: (dispatched: Dispatched, connection: Connection) => 'over' | 'open';
  failed: (error: TransportError) => void;
}

/** Before a SYN is sent again, milliseconds, as Linux does it. */
const SYN_AGAIN_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000] as const;

/** One request over one connection of its own. */
class SimCall {
  readonly #gone = new AbortController();
  readonly #undo: (() => void)[] = [];
  #timer: Timer | undefined;
  #over = false;

  constructor(
    private readonly origin: Origin,
    private readonly target: CallTarget,
    private readonly ask: Ask,
  ) {}

  begin(): void {
    const { limitMs, signal } = this.ask;
    if (signal?.aborted === true) {
      this.#fail('aborted', 'aborted');
      return;
    }
    this.#timer = this.origin.world.clock.after(limitMs, () =>
      this.#fail('timeout', `no answer within ${limitMs} ms`),
    );
    const onAbort = (): void => this.#fail('aborted', 'aborted');
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#undo.push(
      () => this.#timer?.cancel(),
      () => signal?.removeEventListener('abort', onAbort),
      // A dead caller's kernel closes its sockets, and nobody hears how the call ended.
      this.origin.life.onEnd(() => this.giveUp()),
    );
    this.#connect(0);
  }

  /** Nobody waits for it any more; the other side is told as far as packets reach it. */
  giveUp(): void {
    if (this.#over) return;
    this.#over = true;
    for (const action of this.#undo) action();
  }

  /** A SYN that nobody answers is sent again; in the end the time-out speaks. */
  #connect(sent: number): void {
    if (this.#over) return;
    const host = kernelAt(this.origin, this.target.address);
    if (host !== undefined) {
      this.#converse(host);
      return;
    }
    const againMs = SYN_AGAIN_MS[sent];
    if (againMs === undefined) return;
    const again = this.origin.world.clock.after(againMs, () => this.#connect(sent + 1));
    this.#undo.push(() => again.cancel());
  }

  #converse(host: SimHost): void {
    const { origin, target } = this;
    const connection = connectionTo(origin, host.name);
    const listener = target.port === AGENT_PORT ? origin.listeners.on(host) : undefined;
    if (listener === undefined) {
      connection.there(() => connection.back(() => this.#fail('refused', 'ECONNREFUSED')));
      return;
    }
    const closed = new Error('the connection was closed');
    this.#undo.push(
      () => connection.close(),
      () => connection.there(() => this.#gone.abort(closed)),
      listener.life.onEnd(() => {
        // A dead program's kernel says so; a host without power says nothing.
        if (host.isOn) connection.back(() => this.#fail('reset', 'ECONNRESET'));
      }),
    );
    traceCall(origin, host, this.ask.request);
    connection.there(() => this.#serve(host, listener, connection));
  }

  /** The call as the program there gets it, and its answer as it leaves. */
  #serve(host: SimHost, { life, dispatcher }: Listener, connection: Connection): void {
    const { method, path } = this.ask.request;
    const { caller } = this.target;
    const { signal } = this.#gone;
    const { world, listeners } = this.origin;
    const fields = arrivedFields(this.ask.request);
    const answer = (dispatched: Dispatched): void =>
      connection.back(() => {
        this.#timer?.cancel();
        if (this.ask.answered(dispatched, connection) === 'over') this.giveUp();
      });
    life.run(() => {
      const atMs = world.clock.monotonicMs();
      const scripted = listeners.arrived({ atMs, host: host.name, path, fields });
      if (scripted === undefined)
        void life.answer(dispatcher.handle({ method, path, fields, caller, signal })).then(answer);
      else answer({ kind: 'answer', answer: scripted });
    });
  }

  #fail(failure: TransportFailure, message: string): void {
    if (this.#over) return;
    this.giveUp();
    this.ask.failed(new TransportError(failure, message));
  }
}

/** A body as JSON, or a query, in which everything is text. */
function arrivedFields({ method, fields }: TransportRequest): unknown {
  const json = JSON.parse(JSON.stringify(fields)) as Record<string, unknown>;
  if (method !== 'GET' && method !== 'DELETE') return json;
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, String(value)]));
}

async function pump(
  source: AsyncIterable<object>,
  { items, connection }: { items: Items; connection: Connection },
): Promise<void> {
  try {
    for await (const item of source) {
      const text = JSON.stringify(item);
      connection.back(() => items.push(JSON.parse(text)));
    }
    connection.back(() => items.end());
  } catch (error) {
    connection.back(() => items.fail(new TransportError('reset', asError(error).message)));
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
