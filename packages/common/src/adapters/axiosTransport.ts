import { Agent } from 'node:https';
import {
  TransportError,
  type CallOptions,
  type RawAnswer,
  type Transport,
  type TransportFailure,
  type TransportRequest,
} from '@fenceline/protocol';
import axios, { AxiosError, type AxiosInstance, type AxiosRequestConfig } from 'axios';
import { LineBuffer } from '../lineBuffer.js';
import type { StreamTransport } from '../streamTransport.js';

const MAX_ANSWER_BYTES = 16 * 1_024 * 1_024;
const MAX_LINE_CHARS = 1_024 * 1_024;

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
    maxContentLength: MAX_ANSWER_BYTES,
    maxBodyLength: MAX_ANSWER_BYTES,
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
    ...(reads ? { params: request.fields } : { data: request.fields }),
  };
}

async function send(
  http: AxiosInstance,
  request: TransportRequest,
  { deadlineMs, signal }: CallOptions,
): Promise<RawAnswer> {
  // axios' own `timeout` does not cover a connect that hangs; the signal covers everything.
  const limit = AbortSignal.timeout(Math.max(1, deadlineMs));
  try {
    const answer = await http.request<unknown>({
      ...configOf(request),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    return { status: answer.status, body: answer.data };
  } catch (error) {
    if (limit.aborted) throw new TransportError('timeout', `no answer within ${deadlineMs} ms`);
    throw transportError(error);
  }
}

async function* open(
  http: AxiosInstance,
  request: TransportRequest,
  options: { connectTimeoutMs: number; signal: AbortSignal },
): AsyncGenerator {
  const connecting = new AbortController();
  const timer = setTimeout(() => connecting.abort(), options.connectTimeoutMs);
  let timedOut = false;
  connecting.signal.addEventListener('abort', () => (timedOut = true));
  try {
    const answer = await http.request<AsyncIterable<Uint8Array>>({
      ...configOf(request),
      responseType: 'stream',
      signal: AbortSignal.any([options.signal, connecting.signal]),
    });
    clearTimeout(timer);
    if (answer.status !== 200)
      throw new TransportError('other', `${request.path}: HTTP ${answer.status}`);
    yield* items(answer.data);
  } catch (error) {
    if (timedOut)
      throw new TransportError('timeout', `no answer within ${options.connectTimeoutMs} ms`);
    throw error instanceof TransportError ? error : transportError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Items of newline-delimited JSON or of server-sent events. */
async function* items(chunks: AsyncIterable<Uint8Array>): AsyncGenerator {
  const lines = new LineBuffer(MAX_LINE_CHARS);
  for await (const chunk of chunks)
    for (const line of lines.push(chunk)) {
      const text = line.startsWith('data:') ? line.slice(5).trim() : line.trim();
      if (text === '' || text.startsWith(':')) continue;
      yield JSON.parse(text) as unknown;
    }
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
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const known = FAILURES[code];
  if (known !== undefined) return new TransportError(known, `${code}: ${message}`);
  const tls = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|EPROTO)/.test(code);
  return new TransportError(tls ? 'tls' : 'other', `${code}: ${message}`);
}

function codeOf(error: unknown): string {
  if (error instanceof AxiosError && error.code !== undefined) return error.code;
  return error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
}
