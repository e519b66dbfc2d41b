import type { AddressSigns, SignsOfLife } from '@fenceline/agent';
import { sleep } from '@fenceline/common';
import { AGENT_PORT, kernelAt, SSH_PORT, type Origin } from './connection.js';
import type { SimHost } from '../world/host.js';

/** When the neighbour entry of a silent address on the same link has failed. */
const NEIGHBOUR_FAILS_MS = 3_000;

/** Signs of life as one host of a flat management network sees them (F23). */
export function simSigns(origin: Origin): SignsOfLife {
  return {
    look: async ({ addresses, ports }, { withinMs, signal }) => {
      const looks = addresses.map((address) =>
        lookAt(origin, address, { ports, withinMs, signal }),
      );
      return Promise.all(looks);
    },
  };
}

async function lookAt(
  origin: Origin,
  address: string,
  { ports, withinMs, signal }: { ports: readonly number[]; withinMs: number; signal: AbortSignal },
): Promise<AddressSigns> {
  const { clock, network } = origin.world;
  const host = kernelAt(origin, address);
  if (host === undefined) {
    await sleep(clock, withinMs, signal).catch(() => undefined);
    return {
      address,
      way: { device: 'mgmt' },
      tcp: ports.map((port) => ({ port, sign: 'silent' })),
      icmp: 'silent',
      neighbour: withinMs >= NEIGHBOUR_FAILS_MS && !signal.aborted ? 'failed' : 'unknown',
    };
  }
  const [from, to] = [origin.node, host.name];
  const roundTripMs = network.delayMs({ from, to }) + network.delayMs({ from: to, to: from });
  await sleep(clock, Math.min(roundTripMs, withinMs), signal).catch(() => undefined);
  return {
    address,
    way: { device: 'mgmt' },
    tcp: ports.map((port) => ({
      port,
      sign: listens(origin, host, port) ? 'accepted' : 'refused',
    })),
    icmp: 'reply',
    neighbour: 'reachable',
  };
}

function listens({ listeners }: Origin, host: SimHost, port: number): boolean {
  if (port === SSH_PORT) return host.sshd !== 'dead';
  return port === AGENT_PORT && listeners.on(host) !== undefined;
}
