import { axiosTransport, messageOf, type StreamTransport, type TlsFiles } from '@fenceline/common';
import {
  agentStreams,
  callRoute,
  readItem,
  TransportError,
  type Transport,
  type WatchItem,
} from '@fenceline/protocol';
import type { AgentAddress, AgentGateway } from '../agentGateway.js';

/** Addresses that are remembered with their transport; more than any site has hosts. */
const MAX_TRANSPORTS = 16_384;

/** The way to the agents over HTTPS with mutual TLS. */
export function httpAgentGateway(options: { tls: TlsFiles }): AgentGateway {
  const transports = new Map<string, Transport & StreamTransport>();
  const transportTo = ({ address, port }: AgentAddress): Transport & StreamTransport => {
    const baseUrl = `https://${address.includes(':') ? `[${address}]` : address}:${port}`;
    const known = transports.get(baseUrl);
    if (known !== undefined) return known;
    if (transports.size >= MAX_TRANSPORTS) transports.clear();
    const made = axiosTransport({ baseUrl, tls: options.tls });
    transports.set(baseUrl, made);
    return made;
  };
  return {
    call(agent, route, { command, deadlineMs, signal }) {
      const limit = signal === undefined ? { deadlineMs } : { deadlineMs, signal };
      return callRoute({ transport: transportTo(agent), route, request: command }, limit);
    },
    async *watch(agent, { heartbeatEveryMs, connectTimeoutMs, signal }) {
      const { method, path } = agentStreams.watch;
      const request = { method, path, fields: { heartbeatEveryMs } };
      const items = transportTo(agent).open(request, { connectTimeoutMs, signal });
      for await (const item of items) yield watchItem(item);
    },
  };
}

/** @throws TransportError: a line that can't be believed ends the stream. */
function watchItem(json: unknown): WatchItem {
  try {
    return readItem(agentStreams.watch, json);
  } catch (thrown) {
    throw new TransportError('other', messageOf(thrown));
  }
}
