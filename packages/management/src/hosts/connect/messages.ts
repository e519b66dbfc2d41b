import {
  CHECK_HOST_CAPACITY_TIMEOUT_MS,
  type ConnectHostMsg,
  type ReconnectHostMsg,
} from '../../messages/types.js';
import type { Settings } from '../../settings/settings.js';

/** Between two limits that follow each other, so that the inner one speaks first. */
const MARGIN_MS = 10_000;

/** One connect: its own limit, the capacity check's, and a margin. */
export function connectTimeoutMs(settings: Settings): number {
  const stepsMs = settings.host.connect.timeoutSec * 1_000; // everything but the capacity check
  const capacityMs = CHECK_HOST_CAPACITY_TIMEOUT_MS; //         C7: a limit of its own
  return stepsMs + capacityMs + MARGIN_MS;
}

/** A connect without the reconnect marker: a new host, or the start of the server (C4). */
export function connectMessage(
  settings: Settings,
  { hostUuid, newAdd }: { hostUuid: string; newAdd: boolean },
): ConnectHostMsg {
  return { hostUuid, newAdd, reconnect: false, timeoutMs: connectTimeoutMs(settings) };
}

/** The way to a connect with the marker (C4); may have to wait for one connect before its own. */
export function reconnectMessage(
  settings: Settings,
  { hostUuid, calledBy, skipIfConnected = false }: ReconnectAsk,
): ReconnectHostMsg {
  const timeoutMs = 2 * connectTimeoutMs(settings) + MARGIN_MS;
  return { hostUuid, calledBy, skipIfConnected, timeoutMs };
}

export interface ReconnectAsk {
  hostUuid: string;
  calledBy: ReconnectHostMsg['calledBy'];
  skipIfConnected?: boolean;
}
