import type { HttpServer, TlsFiles } from '@fenceline/common';
import { makeIdentify } from '../access/identify.js';
import { startApiServer } from './adapters/apiServer.js';
import type { ApiContext } from './context.js';
import { makeApiDispatcher } from './dispatcher.js';

/** The API over HTTPS, with everything between the socket and the services. */
export function startApi(
  context: ApiContext,
  { listen, tls }: { listen: { address: string; port: number }; tls: TlsFiles },
): Promise<HttpServer> {
  const { tokens, clock, log, health } = context;
  return startApiServer({
    listen,
    tls,
    dispatcher: makeApiDispatcher(context),
    identify: makeIdentify(tokens, clock, log),
    health,
    log,
  });
}
