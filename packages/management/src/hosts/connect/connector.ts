import {
  asError,
  FlowError,
  makeKeyedQueue,
  messageOf,
  runFlow,
  TimeoutError,
} from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { ConnectHostMsg, ReconnectHostMsg, Reply } from '../../messages/types.js';
import type { Host } from '../host.js';
import { makeBudget } from './budget.js';
import { capacityHandler } from './capacity.js';
import type { ConnectContext, ConnectDeps } from './context.js';
import { connectTimeoutMs } from './messages.js';
import { connectFlow } from './steps.js';

const MAX_QUEUED_PER_HOST = 64;
/** Characters that are kept of why a connect failed. */
const MAX_FAILURE = 2_000;

/** What others want to know of connects. */
export interface ConnectListener {
  /** The status just became Connected; tracking starts here (C2). */
  connected(host: Host): Promise<void>;
  toldSiblings(host: Host, digest: string): void;
  /** A connect ended, well or not; called once per run, after its rollback. */
  ended(host: Host, error: DomainError | undefined): void;
}

/** Connects hosts; its only door is the message bus. */
export interface Connector {
  /** A connect of this host waits or runs. */
  busy(hostUuid: string): boolean;
  /** Ends the connect that is under way, if any: the host fell silent in the middle of it. */
  abort(hostUuid: string, reason: string): void;
  /** Runs `work` while no connect of that host runs. */
  exclusive<T>(hostUuid: string, work: () => Promise<T>): Promise<T>;
  /** Ends connects that are under way (they roll back) and resolves when the last is over. */
  stop(): Promise<void>;
}

export function makeConnector(deps: ConnectDeps, listener: ConnectListener): Connector {
  const { bus, repository, settings } = deps;
  const stopping = new AbortController();
  // Beside the bus' own queue: a message whose time is up frees that one while its connect is
  // still rolling back, and two connects of one host must never overlap (C5).
  const perHost = makeKeyedQueue(MAX_QUEUED_PER_HOST);
  const aborts = new Map<string, AbortController>();
  const connect = makeConnect(deps, listener);
  const run = async (message: ConnectHostMsg, signal: AbortSignal): Promise<Reply> => {
    const abort = new AbortController();
    aborts.set(message.hostUuid, abort);
    try {
      const any = AbortSignal.any([signal, stopping.signal, abort.signal]);
      return await connect(message, any);
    } finally {
      aborts.delete(message.hostUuid);
    }
  };

  bus.handle('ConnectHost', {
    queue: ({ hostUuid }) => `connect ${hostUuid}`,
    // C5: the signature has the reconnect dimension, so that the marker is never lost.
    flight: ({ hostUuid, reconnect }) => `${hostUuid} ${reconnect ? 'reconnect' : 'first'}`,
    run: (message, signal) => perHost.run(message.hostUuid, () => run(message, signal)),
  });
  bus.handle('ReconnectHost', {
    run: async (message: ReconnectHostMsg) => {
      const host = await repository.get(message.hostUuid);
      if (message.skipIfConnected && host.status === 'Connected') return {};
      const timeoutMs = connectTimeoutMs(settings.current());
      const { hostUuid, taskId } = message;
      // C4: the only place that sets the marker.
      const marked = { hostUuid, newAdd: false, reconnect: true, timeoutMs };
      return bus.send('ConnectHost', taskId === undefined ? marked : { ...marked, taskId });
    },
  });
  bus.handle('CheckHostCapacity', capacityHandler(deps, stopping.signal));

  return {
    busy: (hostUuid) => perHost.depth(hostUuid) > 0,
    abort: (hostUuid, reason) =>
      aborts.get(hostUuid)?.abort(new DomainError('HOST_UNREACHABLE', reason)),
    exclusive: (hostUuid, work) => perHost.run(hostUuid, work),
    async stop() {
      stopping.abort(new DomainError('STOPPING', 'this server is stopping'));
      await perHost.idle();
    },
  };
}

function makeConnect(deps: ConnectDeps, listener: ConnectListener) {
  const flow = connectFlow(deps, {
    connected: ({ host }) => listener.connected(host),
    toldSiblings: (host, digest) => listener.toldSiblings(host, digest),
  });
  const lastFailure = new Map<string, string>();
  const tell = async (context: ConnectContext, error: DomainError | undefined): Promise<void> => {
    const { host, message } = context;
    const before = lastFailure.get(host.uuid);
    if (error === undefined) lastFailure.delete(host.uuid);
    else lastFailure.set(host.uuid, error.message);
    // Automatic reconnects repeat; the same failure is news once.
    if (error !== undefined && before !== error.message && error.code !== 'STOPPING')
      await deps.events.record({
        kind: 'host.connectFailed',
        severity: 'warning',
        hostUuid: host.uuid,
        text: `host ${host.name} could not be connected: ${error.message}`,
        facts: { code: error.code, reconnect: message.reconnect, newAdd: message.newAdd },
      });
  };
  return async (message: ConnectHostMsg, signal: AbortSignal): Promise<Reply> => {
    const host = await deps.repository.get(message.hostUuid);
    const budgetMs = deps.settings.current().host.connect.timeoutSec * 1_000;
    const context: ConnectContext = {
      message,
      budget: makeBudget(deps.clock, budgetMs, signal),
      signal,
      host,
      bootId: '',
      facts: undefined,
      info: undefined,
      startedHookSteps: [],
    };
    let error: DomainError | undefined;
    try {
      await runFlow(flow, context, { log: deps.log.child({ hostUuid: host.uuid }) });
    } catch (thrown) {
      error = connectError(host, thrown);
    }
    await tell(context, error);
    // Nothing is waited for after it: who sees it counted and asks anew must not join this one.
    if (error?.code !== 'STOPPING') await noteEnd(deps, context, error);
    listener.ended(context.host, error);
    if (error !== undefined) throw error;
    return {};
  };
}

/** For whoever waits for it; it changes nothing about how the connect ended. */
async function noteEnd(
  { repository, log }: ConnectDeps,
  { host, message }: ConnectContext,
  error: DomainError | undefined,
): Promise<void> {
  const reconnectsEnded = host.reconnectsEnded + (message.reconnect ? 1 : 0);
  const fields = { reconnectsEnded, connectFailure: error?.message.slice(0, MAX_FAILURE) ?? null };
  await repository.update(host.uuid, fields).catch((thrown: unknown) => {
    log.warn('the end of a connect could not be noted', {
      hostUuid: host.uuid,
      error: messageOf(thrown),
    });
  });
}

/** What a flow threw, as an error for people. */
function connectError(host: Host, thrown: unknown): DomainError {
  const why = thrown instanceof FlowError ? thrown.why : asError(thrown);
  if (why instanceof DomainError) return why;
  const code = why instanceof TimeoutError ? 'TIMED_OUT' : 'INTERNAL';
  return new DomainError(code, `${host.name}: ${why.message}`);
}
