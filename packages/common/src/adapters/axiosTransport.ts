import { Agent } from 'node:https';
import {
  BadAnswerError,
  DomainError,
  refusalOf,
  RemoteError,
  TransportError,
  type CallOptions,
  type RawAnswer,
  type Transport,
  type TransportFailure,
  type TransportRequest,
} from '@fenceline/protocol';
import axios, { type AxiosInstance, type AxiosRequestConfig } from 'axios';
import { errorCode, messageOf } from '../failure.js';
import { LineBuffer } from '../lineBuffer.js';
import type { OpenOptions, StreamTransport } from '../streamTransport.js';

const MAX_REQUEST_BYTES = 16 * 1_024 * 1_024;
const MAX_ANSWER_CHARS = 16 * 1_024 * 1_024;
const MAX_LINE_CHARS = 1_024 * 1_024;
const MAX_REFUSAL_CHARS = 64 * 1_024;

export interface AxiosTransportOptions {
  /** `https://host:port` */
  baseUrl: string;
  tls: { ca: string; cert?: string; key?: string };
  /** Bearer token, revealed only into the header. */
  token?: { reveal(): string };
}

/** Calls over HTTPS. One socket per call: a stale kept-alive socket would look like a dead host. */
export function axiosTransport(options: AxiosTransportOptions): Transport & StreamTransport {
  const http = axios.create({
    baseURL: options.baseUrl,
    httpsAgent: new Agent({ ...options.tls, keepAlive: false, minVersion: 'TLSv1.3' }),
    proxy: false,
    maxRedirects: 0,
    maxContentLength: -1,
    maxBodyLength: MAX_REQUEST_BYTES,
    validateStatus: () => true,
    headers: options.token ? { authorization: `Bearer ${options.token.reveal()}` } : {},
  });
  return {
    send: (request, call) => send(http, request, call),
    open: (request, call) => open(http, request, call),
  };
}

function configOf(request: TransportRequest): AxiosRequestConfig {
  const reads = request.method === 'GET' || request.method === 'DELETE';
  return {
    method: request.method,
    url: request.path,
    // Read here, also single answers: axios reports one that was cut like any bad one, and would
    // bound the length of a stream that has no end.
    responseType: 'stream',
    ...(reads ? { params: request.fields } : { data: request.fields }),
  };
}

async function send(
  http: AxiosInstance,
  request: TransportRequest,
  { deadlineMs, signal }: CallOptions,
): Promise<RawAnswer> {
  // axios' own `timeout` does not cover a connect that hangs; the signal covers everything.
  const limit = limitOf(deadlineMs);
  try {
    const answer = await http.request<AsyncIterable<Uint8Array>>({
      ...configOf(request),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    const text = await textOf(answer.data, MAX_ANSWER_CHARS);
    // What is no JSON stays text, for `readAnswer` to refuse.
    return { status: answer.status, body: asJson(text) ?? text };
  } catch (error) {
    if (limit.aborted) throw new TransportError('timeout', `no answer within ${deadlineMs} ms`);
    throw isOurs(error) ? error : transportError(error);
  }
}

/** Fires after `ms`, which may be a fraction: what is left of a deadline often is. */
function limitOf(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.min(Math.max(1, Math.ceil(ms)), 2 ** 31 - 1));
}

async function* open(
  http: AxiosInstance,
  request: TransportRequest,
  options: OpenOptions,
): AsyncGenerator {
  const connecting = new AbortController();
  const timer = setTimeout(() => connecting.abort(), options.connectTimeoutMs);
  try {
    const answer = await http.request<AsyncIterable<Uint8Array>>({
      ...configOf(request),
      signal: AbortSignal.any([options.signal, connecting.signal]),
    });
    if (answer.status !== 200) {
      const body = asJson(await textOf(answer.data, MAX_REFUSAL_CHARS));
      throw refusalOf(request.path, { status: answer.status, body });
    }
    clearTimeout(timer);
    yield* items(answer.data);
  } catch (error) {
    if (connecting.signal.aborted)
      throw new TransportError('timeout', `no answer within ${options.connectTimeoutMs} ms`);
    throw isOurs(error) ? error : transportError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** @throws TransportError if it is longer than the bound. */
async function textOf(chunks: AsyncIterable<Uint8Array>, maxChars: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxChars)
      throw new TransportError('other', `the answer is longer than ${maxChars} characters`);
  }
  return text;
}

/** Items of newline-delimited JSON or of server-sent events. */
async function* items(chunks: AsyncIterable<Uint8Array>): AsyncGenerator {
  const lines = new LineBuffer(MAX_LINE_CHARS);
  for await (const chunk of chunks)
    for (const line of lines.push(chunk)) {
      // A comment keeps a connection alive; `event:` and `id:` say nothing that the item does not.
      if (line.trim() === '' || /^(?::|event:|id:|retry:)/.test(line)) continue;
      const item = asJson(line.startsWith('data:') ? line.slice(5) : line);
      if (item === undefined) throw new TransportError('other', 'an item of the stream is no JSON');
      yield item;
    }
}

/** The parser's own message would quote the text. */
function asJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isOurs(error: unknown): boolean {
  return [TransportError, RemoteError, BadAnswerError, DomainError].some(
    (type) => error instanceof type,
  );
}

const FAILURES: Record<string, TransportFailure> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'timeout',
  ERR_CANCELED: 'aborted',
};

function transportError(error: unknown): TransportError {
  const code = errorCode(error) ?? 'UNKNOWN';
  const message = messageOf(error);
  const known = FAILURES[code];
  if (known !== undefined) return new TransportError(known, `${code}: ${message}`);
  const tls = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|EPROTO)/.test(code);
  return new TransportError(tls ? 'tls' : 'other', `${code}: ${message}`);
}
