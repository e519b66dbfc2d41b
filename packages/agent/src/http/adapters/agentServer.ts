import {
  envelopeError,
  identifyByCertificate,
  startHttpServer,
  type Dispatcher,
  type HttpServer,
  type Logger,
  type TlsFiles,
} from '@fenceline/common';
import { listenProblem } from '../listenProblem.js';

export interface AgentServerOptions {
  listen: readonly string[];
  port: number;
  tls: TlsFiles;
  dispatcher: Dispatcher;
  log: Logger;
}

export interface AgentServer {
  /** Port of the first address; useful if 0 was asked for. */
  readonly port: number;
  /** New calls get 503; resolves when every socket is closed. */
  stop(): Promise<void>;
}

/**
 * The agent's HTTPS: mutual TLS on every address, nothing in plain text.
 * @throws Error that says which address can't be used and what to do.
 */
export async function startAgentServer(options: AgentServerOptions): Promise<AgentServer> {
  const servers: HttpServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  for (const address of options.listen) {
    try {
      servers.push(await listenOn(address, options));
    } catch (error) {
      await stop();
      throw listenProblem(error, { address, port: options.port });
    }
  }
  return { port: servers[0]?.port ?? 0, stop };
}

function listenOn(address: string, options: AgentServerOptions): Promise<HttpServer> {
  const { port, tls, dispatcher, log } = options;
  return startHttpServer({
    listen: { address, port },
    tls,
    // safety: only certificates of our CA come in; the role in them decides what they may call.
    clientCertificates: 'required',
    identify: identifyByCertificate,
    dispatcher,
    streamFormat: 'ndjson',
    errorBody: envelopeError,
    log,
  });
}
