import { openStream, withLimit, type Clock } from '@fenceline/common';
import type { AgentGateway, PowerDevice } from '@fenceline/management';
import { agentStreams, callRoute } from '@fenceline/protocol';
import { bound } from '../world/life.js';
import type { World } from '../world/world.js';
import type { Origin } from './connection.js';
import { simTransport } from './transport.js';

/** The server's way to the agents of a simulated world. */
export function simGateway(origin: Origin): AgentGateway {
  const caller = { role: 'server' as const, name: origin.node };
  return {
    call: ({ address, port }, route, { command, ...options }) => {
      const transport = bound(origin.life, simTransport(origin, { address, port, caller }));
      return callRoute({ transport, route, request: command }, options);
    },
    watch: ({ address, port }, { heartbeatEveryMs, connectTimeoutMs, signal }) => {
      const transport = simTransport(origin, { address, port, caller });
      const request = { heartbeatEveryMs };
      const items = openStream(
        { transport, route: agentStreams.watch, request },
        { connectTimeoutMs, signal },
      );
      return origin.life.items(items);
    },
  };
}

/** Power devices of a simulated world; the parameter `plug` names the outlet. */
export function simPowerDevice(world: World, clock: Clock): PowerDevice {
  const limited = <T>(timeoutMs: number, work: () => Promise<T>): Promise<T> =>
    withLimit({ clock, ms: timeoutMs, what: 'power device' }, work);
  return {
    off: (config, { timeoutMs }) =>
      limited(timeoutMs, () => world.power.switch(plugOf(config), 'off')),
    on: (config, { timeoutMs }) =>
      limited(timeoutMs, () => world.power.switch(plugOf(config), 'on')),
    status: (config, { timeoutMs }) =>
      limited(timeoutMs, () => world.power.read(plugOf(config))).catch(() => 'unknown' as const),
  };
}

function plugOf({ parameters }: { parameters: Readonly<Record<string, string>> }): string {
  return parameters['plug'] ?? '';
}
