import { messageOf, type Clock, type Logger } from '@fenceline/common';
import {
  FENCELINE_VERSION,
  MAX_ORDER_TOKENS,
  WatchItem,
  type VmSeen,
  type WatchCmd,
} from '@fenceline/protocol';
import type { FenceLines } from '../fence/lines/fenceLines.js';
import type { OrderTokens } from '../fence/orderTokens.js';
import { makeItemQueue } from '../http/itemQueue.js';
import type { VmTracker } from '../vms/vmTracker.js';
import type { HostView } from './hostView.js';

export interface WatchPorts {
  clock: Clock;
  host: HostView;
  hostUuid: () => Promise<string | undefined>;
  tracker: Pick<VmTracker, 'known' | 'subscribe'>;
  lines: Pick<FenceLines, 'states'>;
  tokens: Pick<OrderTokens, 'held'>;
  log: Logger;
  agentInstance: string;
}

const DEFAULT_HEARTBEAT_MS = 1_000;
const MAX_WAITING_ITEMS = 10_000;

type Fields = Partial<Omit<WatchItem, 'sequence'>>;

/**
 * `GET /host/watch` (D1): first a heartbeat, then every VM that is known, then a heartbeat each
 * interval and a VM the moment it changes. Ends when `signal` fires.
 */
export async function* watchHost(
  ports: WatchPorts,
  command: WatchCmd,
  signal: AbortSignal,
): AsyncGenerator<WatchItem> {
  const everyMs = command.heartbeatEveryMs ?? DEFAULT_HEARTBEAT_MS;
  const { bootId } = await ports.host.boot();
  const queue = makeItemQueue<WatchItem>(MAX_WAITING_ITEMS);
  let sequence = 0;
  // Every item says whose it is: what a host shows counts for nobody else.
  let whose: Pick<Fields, 'hostUuid'> = {};
  const push = (fields: Fields): void => {
    const item = { agentInstance: ports.agentInstance, bootId, agentVersion: FENCELINE_VERSION };
    queue.push(Object.assign(new WatchItem(), item, whose, fields, { sequence: sequence++ }));
  };
  const pushVm = (vm: VmSeen): void => push({ kind: 'vm', vm });
  let timer = ports.clock.after(0, () => undefined);
  const beat = async (): Promise<void> => {
    // Armed before the work: a slow look must not stretch the interval.
    if (!signal.aborted) timer = ports.clock.after(everyMs, () => void beat());
    const details = await heartbeat(ports);
    if (details.hostUuid !== undefined) whose = { hostUuid: details.hostUuid };
    push({ kind: 'heartbeat', ...details });
  };
  const end = (): void => queue.end();
  signal.addEventListener('abort', end, { once: true });
  const unsubscribe = ports.tracker.subscribe(pushVm);
  try {
    await beat();
    for (const vm of ports.tracker.known()) pushVm(vm);
    if (!signal.aborted) yield* queue.items();
  } finally {
    timer.cancel();
    unsubscribe();
    signal.removeEventListener('abort', end);
  }
}

/** What a heartbeat can't find out it leaves out: a heartbeat must never fail. */
async function heartbeat({
  host,
  hostUuid: uuid,
  lines,
  tokens,
  log,
}: WatchPorts): Promise<Fields> {
  try {
    const hostUuid = await uuid();
    return {
      load1: await host.load1(),
      fenceLines: lines.states(),
      orderTokens: Math.min(MAX_ORDER_TOKENS, await tokens.held()),
      ...(hostUuid === undefined ? {} : { hostUuid }),
    };
  } catch (error) {
    log.warn('a heartbeat lacks its details', { error: messageOf(error) });
    return {};
  }
}
