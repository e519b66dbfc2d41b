import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { DomainError } from '@fenceline/protocol';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { Caller, Dispatcher } from '../dispatch.js';
import { messageOf } from '../failure.js';
import type { Logger } from '../logger.js';
import type { TlsFiles } from './tls.js';

const MAX_BODY = '1mb';

export type StreamFormat = 'ndjson' | 'sse';

export interface HttpServerOptions {
  listen: { address: string; port: number };
  tls: TlsFiles;
  /** `required`: only callers with a certificate of our CA; `none`: `identify` decides by token. */
  clientCertificates: 'required' | 'none';
  /** Who calls; undefined = 401. */
  identify: (request: Request) => Caller | undefined | Promise<Caller | undefined>;
  dispatcher: Dispatcher;
  streamFormat: StreamFormat;
  errorBody: (error: DomainError) => object;
  log: Logger;
  /** Extra handlers in front (health, metrics, console). */
  mount?: (app: express.Express) => void;
}

export interface HttpServer {
  readonly port: number;
  /** New calls get 503; open streams end; resolves when the socket is closed. */
  stop(): Promise<void>;
}

/** @throws an Error with `code` EADDRINUSE, EACCES … if it can't listen. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const stopping = new AbortController();
  const app = express();
  app.disable('x-powered-by');
  options.mount?.(app);
  app.use(express.json({ limit: MAX_BODY, strict: true }));
  app.use((request, response) => serve(request, response, { options, stopping: stopping.signal }));
  // oxlint-disable-next-line max-params -- express tells error handlers by their four parameters
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) next(error);
    else sendError(response, parseFailure(error), options);
  });
  const server = createServer(
    {
      ...options.tls,
      requestCert: options.clientCertificates === 'required',
      rejectUnauthorized: options.clientCertificates === 'required',
      minVersion: 'TLSv1.3',
    },
    app,
  );
  server.requestTimeout = 30_000;
  server.headersTimeout = 10_000;
  await listen(server, options.listen);
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      stopping.abort(new DomainError('STOPPING', 'this program is stopping'));
      return closed(server);
    },
  };
}

interface Serving {
  options: HttpServerOptions;
  stopping: AbortSignal;
}

async function serve(request: Request, response: Response, serving: Serving): Promise<void> {
  const { options, stopping } = serving;
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('the caller is gone')));
  if (stopping.aborted) {
    response.set('connection', 'close');
    sendError(response, new DomainError('STOPPING', 'this program is stopping'), options);
    return;
  }
  const caller = await options.identify(request);
  if (caller === undefined) {
    sendError(response, new DomainError('UNAUTHENTICATED', 'who calls is not known'), options);
    return;
  }
  const reads = request.method === 'GET' || request.method === 'DELETE';
  const done = await options.dispatcher.handle({
    method: request.method,
    path: request.path,
    fields: reads ? { ...request.query } : ((request.body as unknown) ?? {}),
    caller,
    signal: AbortSignal.any([gone.signal, stopping]),
  });
  if (done.kind === 'answer') response.status(done.answer.status).json(done.answer.body);
  else await sendStream(response, done.items, serving);
}

async function sendStream(
  response: Response,
  items: AsyncIterable<object>,
  { options, stopping }: Serving,
): Promise<void> {
  const sse = options.streamFormat === 'sse';
  response.status(200).type(sse ? 'text/event-stream' : 'application/x-ndjson');
  response.set('cache-control', 'no-store').flushHeaders();
  response.socket?.setNoDelay(true);
  try {
    for await (const item of items) {
      if (response.destroyed || stopping.aborted) break;
      const text = JSON.stringify(item);
      const room = response.write(sse ? `data: ${text}\n\n` : `${text}\n`);
      if (!room) await drained(response);
    }
  } catch (error) {
    if (!response.destroyed && !stopping.aborted)
      options.log.warn('a stream ended early', { error: messageOf(error) });
  }
  response.end();
}

function drained(response: Response): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve);
    response.once('close', resolve);
  });
}

function sendError(response: Response, error: DomainError, options: HttpServerOptions): void {
  response.status(error.status).json(options.errorBody(error));
}

function parseFailure(error: unknown): DomainError {
  const type = typeof error === 'object' && error !== null && 'type' in error ? error.type : '';
  if (type === 'entity.too.large')
    return new DomainError('TOO_LARGE', `the body is larger than ${MAX_BODY}`);
  return new DomainError('BAD_INPUT', 'the body is not valid JSON');
}

function listen(server: Server, { address, port }: { address: string; port: number }) {
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, backlog: 511 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    // Calls in flight may finish for a moment; after it what is left is cut.
    setTimeout(() => server.closeAllConnections(), 1_000).unref();
  });
}

/** The caller by its client certificate: OU is the role, CN the name. */
export function identifyByCertificate(request: Request): Caller | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  const role = String(subject?.OU ?? '');
  if (role !== 'server' && role !== 'sibling') return undefined;
  return { role, name: String(subject.CN ?? '') };
}
