import { problemError, startHttpServer, type HttpServer, type TlsFiles } from '@fenceline/common';
import { makeIdentify } from '../../access/identify.js';
import type { ApiContext } from '../context.js';
import { makeApiDispatcher } from '../dispatcher.js';

export interface ApiServerOptions {
  listen: { address: string; port: number };
  tls: TlsFiles;
}

/**
 * Serves the API over HTTPS; `/healthz` and `/readyz` answer without a token.
 * @throws an Error with `code` EADDRINUSE, EACCES … if it can't listen.
 */
export async function startApi(
  context: ApiContext,
  { listen, tls }: ApiServerOptions,
): Promise<HttpServer> {
  const { tokens, clock, log, health } = context;
  const identify = makeIdentify(tokens, clock, log);
  let stopping = false;
  const server = await startHttpServer({
    listen,
    tls,
    clientCertificates: 'none',
    identify: (request) =>
      identify({
        authorization: request.get('authorization'),
        address: request.socket.remoteAddress ?? '',
      }),
    dispatcher: makeApiDispatcher(context),
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
