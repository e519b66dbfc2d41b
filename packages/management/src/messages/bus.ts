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

  const run = async <Name extends MessageName>(
    name: Name,
    message: MessageOf<Name>,
    handler: MessageHandler<Name>,
  ): Promise<ReplyOf<Name>> =>
    withLimit({ clock, ms: message.timeoutMs, what: name }, (signal) =>
      handler.run(message, signal),
    );

  const deliver = <Name extends MessageName>(
    name: Name,
    message: MessageOf<Name>,
    handler: MessageHandler<Name>,
  ): Promise<ReplyOf<Name>> => {
    const key = handler.queue?.(message);
    const start = (): Promise<ReplyOf<Name>> => run(name, message, handler);
    const queued = (): Promise<ReplyOf<Name>> =>
      key === undefined ? start() : queue.run(key, start);
    const signature = handler.flight?.(message);
    return signature === undefined ? queued() : flights.run(`${name} ${signature}`, queued);
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
