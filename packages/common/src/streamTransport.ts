import type { TransportRequest } from '@fenceline/protocol';

/** Opens streams. */
export interface StreamTransport {
  /**
   * Yields the parsed JSON of each item until the other side ends the stream. The connect has its
   * own limit; silence afterwards is for the caller to judge.
   * @throws TransportError if the stream can't be opened or breaks.
   */
  open(
    request: TransportRequest,
    options: { connectTimeoutMs: number; signal: AbortSignal },
  ): AsyncIterable<unknown>;
}
