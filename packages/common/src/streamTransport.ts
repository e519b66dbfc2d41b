import { readItem, requestOf, type StreamRoute, type TransportRequest } from '@fenceline/protocol';

export interface OpenOptions {
  /** Milliseconds until the stream is open; silence afterwards is for the caller to judge. */
  connectTimeoutMs: number;
  /** Ends the stream from this side. */
  signal: AbortSignal;
}

/** Opens streams. */
export interface StreamTransport {
  /**
   * Yields the parsed JSON of each item until the other side ends the stream. The connect has its
   * own limit; silence afterwards is for the caller to judge.
   * @throws TransportError if the stream can't be opened or breaks (`aborted` if the signal fired);
   * RemoteError if the other side refused it with a code.
   */
  open(request: TransportRequest, options: OpenOptions): AsyncIterable<unknown>;
}

/**
 * The items of a stream route, each checked.
 * @throws what `StreamTransport.open` throws; BadAnswerError for an item that can't be believed.
 */
export async function* openStream<Req extends object, Item extends object>(
  call: { transport: StreamTransport; route: StreamRoute<Req, Item>; request: Req },
  options: OpenOptions,
): AsyncGenerator<Item> {
  const request = requestOf(call.route, call.request);
  for await (const json of call.transport.open(request, options)) yield readItem(call.route, json);
}
