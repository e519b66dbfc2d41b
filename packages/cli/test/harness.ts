import {
  axiosTransport,
  makeDispatcher,
  problemError,
  silentLogger,
  startHttpServer,
  systemClock,
  type Handlers,
} from '@fenceline/common';
import { makeTestCa } from '@fenceline/common/testing';
import { apiRoutes, apiStreams, DomainError, type EventView } from '@fenceline/protocol';
import { runCli } from '../src/program.js';
import type { World } from '../src/world.js';

export const TOKEN = 'fenceline_cli-canary-token';
export const ca = makeTestCa();

type ApiHandlers = Handlers<typeof apiRoutes>;

async function missing(): Promise<never> {
  throw new DomainError('NOT_FOUND', 'this test has no answer for that');
}

/** A server of the real routes over real HTTPS; what a test doesn't give answers NOT_FOUND. */
export async function startFakeServer(given: Partial<ApiHandlers>, events: EventView[] = []) {
  const rest = Object.fromEntries(Object.keys(apiRoutes).map((name) => [name, missing]));
  const options = { log: silentLogger, errorBody: problemError };
  const answers = makeDispatcher(
    apiRoutes,
    { ...(rest as unknown as ApiHandlers), ...given },
    options,
  );
  async function* follow(): AsyncGenerator<EventView> {
    yield* events;
  }
  const streams = makeDispatcher(apiStreams, { followEvents: follow }, options);
  const server = await startHttpServer({
    listen: { address: '127.0.0.1', port: 0 },
    tls: ca.issue({ name: 'server' }),
    clientCertificates: 'none',
    identify: (request) =>
      request.get('authorization') === `Bearer ${TOKEN}`
        ? { role: 'admin', name: 'otto' }
        : undefined,
    dispatcher: {
      handle: (call) =>
        Object.hasOwn(Object(call.fields), 'follow') ? streams.handle(call) : answers.handle(call),
    },
    streamFormat: 'sse',
    errorBody: problemError,
    log: silentLogger,
  });
  return { url: `https://127.0.0.1:${server.port}`, stop: () => server.stop() };
}

export interface Run {
  code: number;
  out: string[];
  err: string[];
}

export interface Machine {
  url: string;
  files?: Record<string, string>;
  environment?: Record<string, string>;
  answers?: string[];
  /** What was written, by path. */
  written?: Map<string, string>;
}

/** One run of the command line on a machine with these files and variables. */
export async function run(argv: string[], machine: Machine): Promise<Run> {
  const out: string[] = [];
  const err: string[] = [];
  const files: Record<string, string> = { '/ca.pem': ca.ca, ...machine.files };
  const answers = [...(machine.answers ?? [])];
  const world: World = {
    environment: {
      FENCELINE_URL: machine.url,
      FENCELINE_CA: '/ca.pem',
      FENCELINE_TOKEN: TOKEN,
      ...machine.environment,
    },
    home: '/home/otto',
    readText: (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return text;
    },
    writeText: (path, text) => {
      if (path.startsWith('/readonly/'))
        throw Object.assign(new Error('read-only'), { code: 'EROFS' });
      machine.written?.set(path, text);
    },
    connect: (connection) =>
      axiosTransport({
        baseUrl: connection.url,
        tls: { ca: connection.ca },
        token: connection.token,
      }),
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    terminal: false,
    ask: machine.answers === undefined ? undefined : async () => answers.shift() ?? '',
    clock: systemClock,
    signal: new AbortController().signal,
  };
  const code = await runCli(argv, world);
  return { code, out, err };
}
