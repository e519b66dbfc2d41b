import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { DomainError } from '@fenceline/protocol';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { Caller, Dispatcher } from '../dispatch.js';
import { isError, messageOf } from '../failure.js';
import type { Logger } from '../logger.js';
import { sendStream, type StreamFormat } from './expressStream.js';
import type { TlsFiles } from './tls.js';

const MAX_BODY = '1mb';

/** How long calls in flight may go on after a stop, milliseconds; new ones get 503 meanwhile. */
const STOP_GRACE_MS = 1_000;

export type { StreamFormat } from './expressStream.js';

export interface HttpServerOptions {
  listen: { address: string; port: number };
  tls: TlsFiles;
  /** `required`: only callers with a certificate of our CA; `none`: `identify` decides by token. */
  clientCertificates: 'required' | 'none';
  /** Who calls; undefined = 401. May throw a DomainError, which is answered as it stands. */
  identify: (request: Request) => Caller | undefined | Promise<Caller | undefined>;
  dispatcher: Dispatcher;
  streamFormat: StreamFormat;
  errorBody: (error: DomainError) => object;
  log: Logger;
  /** Extra handlers in front (health, metrics, console); they are asked before `identify`. */
  mount?: (app: express.Express) => void;
}

export interface HttpServer {
  readonly port: number;
  /**
   * Ends open streams, fires the signal of calls in flight and gives them a second, in which new
   * calls get 503; then cuts what is left. Resolves when the port is free. Safe to call twice.
   */
  stop(): Promise<void>;
}

interface Serving extends HttpServerOptions {
  /** Fires at stop. */
  stopping: AbortSignal;
  /** Calls that have not been answered to the end. */
  inFlight: Set<Response>;
}

/** @throws an Error with `code` EADDRINUSE, EACCES … if it can't listen. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const stopping = new AbortController();
  const serving: Serving = { ...options, stopping: stopping.signal, inFlight: new Set() };
  const required = options.clientCertificates === 'required';
  const server = createServer(
    {
      ...options.tls,
      requestCert: required,
      rejectUnauthorized: required,
      minVersion: 'TLSv1.3',
      handshakeTimeout: 10_000,
    },
    makeApp(serving),
  );
  server.requestTimeout = 30_000;
  server.headersTimeout = 10_000;
  const sockets = trackSockets(server);
  await listen(server, options.listen);
  let stopped: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      stopping.abort(stoppingError());
      stopped ??= close(server, sockets, serving);
      return stopped;
    },
  };
}

function makeApp(serving: Serving): express.Express {
  const app = express();
  app.disable('x-powered-by').set('etag', false);
  serving.mount?.(app);
  app.use((request, response, next) => admit(request, response, { serving, next }));
  app.use(express.json({ limit: MAX_BODY, strict: true }));
  app.use((request, response) => serve(request, response, serving));
  // oxlint-disable-next-line max-params -- express tells error handlers by their four parameters
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) next(error);
    else sendError(response, asDomainError(error, request, serving), serving);
  });
  return app;
}

/** Before a byte of the body is read: is this program staying, and who calls? */
async function admit(
  request: Request,
  response: Response,
  { serving, next }: { serving: Serving; next: NextFunction },
): Promise<void> {
  if (serving.stopping.aborted) {
    response.set('connection', 'close');
    sendError(response, stoppingError(), serving);
    return;
  }
  serving.inFlight.add(response);
  response.on('close', () => serving.inFlight.delete(response));
  const caller = await serving.identify(request);
  if (caller === undefined) {
    sendError(response, new DomainError('UNAUTHENTICATED', 'who calls is not known'), serving);
    return;
  }
  response.locals['caller'] = caller;
  next();
}

async function serve(request: Request, response: Response, serving: Serving): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) gone.abort(new Error('the caller is gone'));
  });
  const signal = AbortSignal.any([gone.signal, serving.stopping]);
  const key = request.get('idempotency-key');
  const done = await serving.dispatcher.handle({
    ...(key === undefined ? {} : { idempotencyKey: key }),
    method: request.method,
    path: request.path,
    fields: fieldsOf(request),
    caller: response.locals['caller'] as Caller,
    signal,
  });
  if (done.kind === 'answer') response.status(done.answer.status).json(done.answer.body);
  else
    await sendStream(response, done.items, {
      format: serving.streamFormat,
      signal,
      log: serving.log,
    });
}

function fieldsOf(request: Request): unknown {
  if (request.method === 'GET' || request.method === 'DELETE') return { ...request.query };
  const body = request.body as unknown;
  const empty = request.headers['transfer-encoding'] === undefined && !hasLength(request);
  if (body === undefined && !empty)
    throw new DomainError('BAD_INPUT', 'the body must be application/json');
  return body ?? {};
}

function hasLength(request: Request): boolean {
  return Number(request.headers['content-length'] ?? 0) > 0;
}

function sendError(response: Response, error: DomainError, serving: Serving): void {
  response.status(error.status).json(serving.errorBody(error));
}

function stoppingError(): DomainError {
  return new DomainError('STOPPING', 'this program is stopping');
}

/** body-parser's failures may be shown (`expose`); anything else is a defect of ours. */
function asDomainError(error: unknown, request: Request, { log }: Serving): DomainError {
  if (error instanceof DomainError) return error;
  if (isError(error) && 'expose' in error && error.expose === true) {
    const tooLarge = 'type' in error && error.type === 'entity.too.large';
    return tooLarge
      ? new DomainError('TOO_LARGE', `the body is larger than ${MAX_BODY}`)
      : new DomainError('BAD_INPUT', 'the body is not valid JSON');
  }
  log.error('a call failed unexpectedly', { path: request.path, error: messageOf(error) });
  return new DomainError('INTERNAL', 'an internal error; the log has the details');
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

/** Every open socket, those too that have not finished their handshake. */
function trackSockets(server: Server): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

async function close(server: Server, sockets: Set<Socket>, { inFlight }: Serving): Promise<void> {
  if (inFlight.size > 0) await answered(inFlight);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}

/** Settles when every call of the set is answered, or the grace is over. */
function answered(inFlight: Set<Response>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, STOP_GRACE_MS);
    for (const response of inFlight)
      response.once('close', () => {
        if (inFlight.size > 0) return;
        clearTimeout(timer);
        resolve();
      });
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
