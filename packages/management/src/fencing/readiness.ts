import type { FencingSeen } from '../api/queries/fencers.js';
import { asksForTokens } from '../hosts/connect/siblingKeys.js';
import type { ConnectExtensions } from '../hosts/connect/extensions.js';
import {
  makeFenceLinesKeeper,
  type FenceLinesDeps,
  type FenceLinesKeeper,
} from './lines/fenceLines.js';
import { makeOrderTokens, type OrderTokens, type OrderTokensDeps } from './tokens/orderTokens.js';

/** What hosts are given beforehand, so that they can be fenced when they fall ill. */
export interface FencingReadiness {
  readonly lines: FenceLinesKeeper;
  readonly tokens: OrderTokens;
  /** What hosts tell of it. */
  readonly seen: FencingSeen;
  start(): void;
  stop(): Promise<void>;
}

export function makeFencingReadiness(deps: FenceLinesDeps & OrderTokensDeps): FencingReadiness {
  const lines = makeFenceLinesKeeper(deps);
  const tokens = makeOrderTokens(deps);
  return {
    lines,
    tokens,
    seen: {
      linesTo: (hostUuid) => lines.linesTo(hostUuid),
      missingSince: (hostUuid) => lines.missingSince(hostUuid),
      orderTokens: (hostUuid) =>
        asksForTokens(deps.settings) && deps.presence.linkUp(hostUuid)
          ? deps.presence.lastHeartbeat(hostUuid)?.orderTokens
          : undefined,
    },
    start: () => {
      lines.start();
      tokens.start();
    },
    stop: async () => {
      await Promise.all([lines.stop(), tokens.stop()]);
    },
  };
}

/** Its part of every connect; `readiness` is asked for when one runs. */
export function readinessExtensions(
  readiness: () => FencingReadiness,
): Pick<ConnectExtensions, 'preConnect' | 'afterConnected'> {
  return {
    preConnect: [
      { name: 'order-tokens', run: (context) => readiness().tokens.connectStep.run(context) },
    ],
    afterConnected: [{ name: 'fence-lines', run: async () => readiness().lines.changed() }],
  };
}
