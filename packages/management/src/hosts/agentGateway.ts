import type { CallOptions, Route, WatchItem } from '@fenceline/protocol';

/** Where a host's agent is. */
export interface AgentAddress {
  hostUuid: string;
  address: string;
  port: number;
}

/** The server's way to the agents: typed routes, nothing else. */
export interface AgentGateway {
  /**
   * Calls one route of one agent and validates what comes back.
   * @throws TransportError if no answer came in time; RemoteError if the agent refused;
   *   DomainError NO_SUCH_ROUTE for an older agent; BadAnswerError for an unparsable answer.
   */
  call<Req extends object, Rsp extends object>(
    agent: AgentAddress,
    route: Route<Req, Rsp>,
    request: { command: Req } & CallOptions,
  ): Promise<Rsp>;
  /**
   * Opens the watch stream and yields valid items until it breaks; a line that is not valid ends
   * it. Silence is for the caller to judge.
   * @throws TransportError
   */
  watch(
    agent: AgentAddress,
    options: { heartbeatEveryMs: number; connectTimeoutMs: number; signal: AbortSignal },
  ): AsyncIterable<WatchItem>;
}
