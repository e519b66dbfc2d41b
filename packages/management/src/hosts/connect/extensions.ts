import type { Flow } from '@fenceline/common';
import type { FactsRsp } from '@fenceline/protocol';
import type { Host } from '../host.js';

/** What a connect has learned when `/host/connect` has been answered. */
export interface ConnectInfo {
  newAdd: boolean;
  /** The marker of C4: true only if a ReconnectHost message is behind this connect. */
  reconnect: boolean;
  agentInstance: string;
  agentVersion: string;
  bootId: string;
  facts: FactsRsp;
}

/** What the steps of hooks and extensions get. The signal fires when the connect's time is up. */
export interface HookContext {
  host: Host;
  info: ConnectInfo;
  signal: AbortSignal;
}

/**
 * C8: work that has to be done right after `/host/connect`, before every later step (a
 * self-fencer that must not wait for a slow capacity check). Hooks run one after the other in the
 * order of the list, while the status is Connecting, and not at all if the connect itself failed.
 */
export interface HostAfterConnectHook {
  readonly name: string;
  /**
   * The hook's flow for this connect, or null: nothing to do. Its failure fails the connect. The
   * steps that were started are rolled back in reverse on their own failure or any later one. The
   * time limit is that of the connect (`host.connect.timeoutSec`), told by the context's signal.
   * @param reconnect the marker of C4, as in `connectInfo`.
   */
  createAfterConnectHookFlow(
    host: Host,
    connectInfo: ConnectInfo,
    reconnect: boolean,
  ): Flow<HookContext> | null;
}

/** A step that another domain adds to every connect; its failure fails the connect. */
export interface ConnectExtension {
  readonly name: string;
  run(context: HookContext): Promise<void>;
}

/** What other domains add, in order; given to the composition root. */
export interface ConnectExtensions {
  afterConnectHooks: readonly HostAfterConnectHook[];
  /** After the hooks, before the post-connect ones. */
  preConnect: readonly ConnectExtension[];
  postConnect: readonly ConnectExtension[];
  /** When the status is Connected. */
  afterConnected: readonly ConnectExtension[];
}

export const noExtensions: ConnectExtensions = Object.freeze({
  afterConnectHooks: [],
  preConnect: [],
  postConnect: [],
  afterConnected: [],
});
