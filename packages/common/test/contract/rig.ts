import {
  agentRoutes,
  agentStreams,
  type CallerRole,
  type Client,
  makeClient,
  type StreamRoute,
  type WatchCmd,
  type WatchItem,
} from '@fenceline/protocol';
import {
  axiosTransport,
  type CallContext,
  envelopeError,
  type Handlers,
  type HttpServer,
  type HttpServerOptions,
  type LogLine,
  identifyByCertificate,
  makeDispatcher,
  startHttpServer,
} from '../../src/index.js';
import { recordingLogger } from '../../src/testing/index.js';
import type { Certificates } from './certificates.js';
import { agentSamples } from './samples.js';

type RouteName = keyof typeof agentRoutes;
type Table = typeof agentRoutes & typeof agentStreams;

export type Watch = (request: WatchCmd, context: CallContext) => AsyncIterable<WatchItem>;

export interface RigOptions {
  certificates: Certificates;
  watch?: Watch;
  /** Runs before the sample is answered. */
  hold?: (name: RouteName, context: CallContext) => Promise<void>;
  /** Treats callers as this role, whatever their certificate says. */
  as?: CallerRole;
  server?: Partial<HttpServerOptions>;
}

/** A real agent server on loopback that answers each route with its sample, and clients to it. */
export class Rig {
  private constructor(
    readonly certificates: Certificates,
    readonly server: HttpServer,
    private readonly seen: { requests: Map<RouteName, unknown>; lines: readonly LogLine[] },
  ) {}

  static async start(options: RigOptions): Promise<Rig> {
    const { log, lines } = recordingLogger();
    const requests = new Map<RouteName, unknown>();
    const handlers = handlersOf(options, requests);
    const server = await startHttpServer({
      listen: { address: '127.0.0.1', port: 0 },
      tls: options.certificates.issue({ unit: 'agent', name: 'h1' }),
      clientCertificates: 'required',
      identify: (request) => {
        const caller = identifyByCertificate(request);
        return caller && options.as ? { ...caller, role: options.as } : caller;
      },
      dispatcher: makeDispatcher({ ...agentRoutes, ...agentStreams }, handlers, {
        log,
        errorBody: envelopeError,
      }),
      streamFormat: 'ndjson',
      errorBody: envelopeError,
      log,
      ...options.server,
    });
    return new Rig(options.certificates, server, { requests, lines });
  }

  /** What the handler of a route got last. */
  got(name: RouteName): unknown {
    return this.seen.requests.get(name);
  }

  get logged(): string[] {
    return this.seen.lines.map(({ sentence }) => sentence);
  }

  transport(unit = 'server') {
    return axiosTransport({
      baseUrl: `https://127.0.0.1:${this.server.port}`,
      tls: this.certificates.issue({ unit, name: 's1' }),
    });
  }

  client(unit = 'server'): Client<typeof agentRoutes> {
    return makeClient(agentRoutes, this.transport(unit));
  }
}

function handlersOf(
  { watch = nothing, hold }: RigOptions,
  requests: Map<RouteName, unknown>,
): Handlers<Table> {
  const answer = (name: RouteName) => async (request: object, context: CallContext) => {
    requests.set(name, request);
    await hold?.(name, context);
    return agentSamples[name].response;
  };
  const names = Object.keys(agentRoutes) as RouteName[];
  // Built from the table, so that a new route is served without a word here.
  return Object.fromEntries<unknown>([
    ...names.map((name): [string, unknown] => [name, answer(name)]),
    ['watch', watch],
  ]) as unknown as Handlers<Table>;
}

export const watchRoute: StreamRoute<WatchCmd, WatchItem> = agentStreams.watch;

async function* nothing(): AsyncGenerator<WatchItem> {
  // A stream that ends at once.
}

/** What a promise is rejected with. */
export async function failureOf(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}
