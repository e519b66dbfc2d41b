import {
  asError,
  makeKeyedQueue,
  makeSingleFlight,
  messageOf,
  TimeoutError,
  withLimit,
  type Clock,
  type Logger,
} from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { MessageName, MessageOf, ReplyOf } from './types.js';

const MAX_QUEUED_PER_RESOURCE = 1_024;

/** How one kind of message is handled. */
export interface MessageHandler<Name extends MessageName> {
  /** The resource whose queue the message waits in; undefined = runs at once. */
  queue?: (message: MessageOf<Name>) => string;
  /** Messages of one signature that overlap share one run (C5). */
  flight?: (message: MessageOf<Name>) => string;
  /** The signal fires when the message's time is up. What it throws becomes `error`. */
  run: (message: MessageOf<Name>, signal: AbortSignal) => Promise<ReplyOf<Name>>;
}

/** Typed messages between the domains of this server. */
export interface MessageBus {
  handle<Name extends MessageName>(name: Name, handler: MessageHandler<Name>): void;
  /**
   * Delivers a frozen copy and resolves with the reply, within the message's `timeoutMs` counted
   * from the start of its run. Never rejects: a failure is the reply's `error`.
   */
  send<Name extends MessageName>(name: Name, message: MessageOf<Name>): Promise<ReplyOf<Name>>;
  /** Settles when no message waits or runs. */
  idle(): Promise<void>;
}

export function makeMessageBus(clock: Clock, log: Logger): MessageBus {
  const handlers = new Map<MessageName, MessageHandler<never>>();
  const queue = makeKeyedQueue(MAX_QUEUED_PER_RESOURCE);
  const flights = makeSingleFlight();

  /**
   * The caller hears at the time-out at the latest; the resource's queue waits until the run has
   * really settled, or a second run could overlap one that did not heed its signal.
   */
  const inSlot = <Name extends MessageName>(
    name: Name,
    message: MessageOf<Name>,
    handler: MessageHandler<Name>,
  ): Promise<ReplyOf<Name>> => {
    const key = handler.queue?.(message);
    return new Promise((resolve, reject) => {
      const occupy = async (): Promise<void> => {
        let running: Promise<ReplyOf<Name>> | undefined;
        const limit = { clock, ms: message.timeoutMs, what: name };
        withLimit(limit, (signal) => (running = handler.run(message, signal))).then(
          resolve,
          reject,
        );
        await running?.catch(() => undefined);
      };
      (key === undefined ? occupy() : queue.run(key, occupy)).catch(reject);
    });
  };

  const deliver = <Name extends MessageName>(
    name: Name,
    message: MessageOf<Name>,
    handler: MessageHandler<Name>,
  ): Promise<ReplyOf<Name>> => {
    const start = (): Promise<ReplyOf<Name>> => inSlot(name, message, handler);
    const signature = handler.flight?.(message);
    return signature === undefined ? start() : flights.run(`${name} ${signature}`, start);
  };

  return {
    handle(name, handler) {
      handlers.set(name, handler as unknown as MessageHandler<never>);
    },
    async send(name, message) {
      const handler = handlers.get(name);
      try {
        if (handler === undefined) throw new Error(`nobody handles ${name}`);
        const copy = deepFreeze(structuredClone(message));
        return await deliver(name, copy, handler as unknown as MessageHandler<typeof name>);
      } catch (thrown) {
        log.debug('a message failed', { name, error: messageOf(thrown) });
        return { error: asDomainError(thrown) } as ReplyOf<typeof name>;
      }
    },
    idle: () => queue.idle(),
  };
}

function asDomainError(thrown: unknown): DomainError {
  if (thrown instanceof DomainError) return thrown;
  const error = asError(thrown);
  if (error instanceof TimeoutError) return new DomainError('TIMED_OUT', error.message);
  if (error.cause instanceof DomainError) return error.cause;
  return new DomainError('INTERNAL', error.message);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
