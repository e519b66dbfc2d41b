import type { Handlers } from '@fenceline/common';
import { FenceLinesRsp, ok, OrderTokensRsp, type agentRoutes } from '@fenceline/protocol';
import type { FenceLines } from './lines/fenceLines.js';
import type { OrderTokens } from './orderTokens.js';
import type { PeerFence } from './peerFence.js';

type FenceRouteName = 'fenceVm' | 'fenceVms' | 'fenceLines' | 'orderTokens';

/** The routes of a peer's work, and of getting ready for it. */
export function fenceRoutes(ports: {
  peer: PeerFence;
  lines: FenceLines;
  tokens: OrderTokens;
}): Pick<Handlers<typeof agentRoutes>, FenceRouteName> {
  const { peer, lines, tokens } = ports;
  return {
    ...peer,
    fenceLines: async ({ neighbours }) => {
      lines.set(neighbours);
      return ok(FenceLinesRsp, { lines: lines.states() });
    },
    orderTokens: async (command) =>
      ok(OrderTokensRsp, { held: await tokens.deposit(command.tokens, command) }),
  };
}
