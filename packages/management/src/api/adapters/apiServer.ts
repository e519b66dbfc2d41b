import {
  problemError,
  startHttpServer,
  type Dispatcher,
  type HttpServer,
  type Logger,
  type TlsFiles,
} from '@fenceline/common';
import type { Identify } from '../../access/identify.js';
import type { StoreHealth } from '../storeHealth.js';

export interface ApiServerOptions {
  listen: { address: string; port: number };
  tls: TlsFiles;
  dispatcher: Dispatcher;
  identify: Identify;
  health: StoreHealth;
  log: Logger;
}

/**
 * Serves the API over HTTPS; `/healthz` and `/readyz` answer without a token.
 * @throws an Error with `code` EADDRINUSE, EACCES … if it can't listen.
 */
export async function startApiServer(options: ApiServerOptions): Promise<HttpServer> {
  const { dispatcher, identify, health, log } = options;
  let stopping = false;
  const server = await startHttpServer({
    listen: options.listen,
    tls: options.tls,
    clientCertificates: 'none',
    identify: (request) =>
      identify({
        authorization: request.get('authorization'),
        address: request.socket.remoteAddress ?? '',
      }),
    dispatcher,
    streamFormat: 'sse',
    errorBody: problemError,
    log,
    mount: (app) => {
      app.get('/healthz', (_request, response) => {
        response.json({ alive: true });
      });
      app.get('/readyz', async (_request, response) => {
        const ready = !stopping && (await health.probe());
        const problem = stopping ? 'this server is stopping' : health.problem();
        response.status(ready ? 200 : 503).json(ready ? { ready } : { ready, problem });
      });
    },
  });
  return {
    port: server.port,
    stop: () => {
      stopping = true;
      return server.stop();
    },
  };
}
