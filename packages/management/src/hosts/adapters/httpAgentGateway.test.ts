import { afterEach, expect, test } from '@jest/globals';
import {
  envelopeError,
  identifyByCertificate,
  makeDispatcher,
  silentLogger,
  startHttpServer,
  type CallContext,
  type HttpServer,
} from '@fenceline/common';
import { makeTestCa } from '@fenceline/common/testing';
import {
  agentRoutes,
  agentStreams,
  DomainError,
  RemoteError,
  TransportError,
  type EchoCmd,
  type WatchCmd,
  type WatchItem,
} from '@fenceline/protocol';
import type { AgentAddress } from '../agentGateway.js';
import { httpAgentGateway } from './httpAgentGateway.js';

const ca = makeTestCa('test');
const tls = (role: string) => ({
  ...ca.issue({ name: role, role, hosts: ['127.0.0.1'] }),
  ca: ca.ca,
});

const item = (sequence: number): WatchItem => ({
  kind: 'heartbeat',
  sequence,
  agentInstance: 'i',
  bootId: 'b',
  agentVersion: '1',
});

const servers: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

type Watch = (request: WatchCmd, context: CallContext) => AsyncIterable<object>;

/** A real agent server on loopback that knows echo, ping and watch. */
async function agent(watch: Watch): Promise<AgentAddress> {
  const table = { echo: agentRoutes.echo, ping: agentRoutes.ping, watch: agentStreams.watch };
  const handlers = {
    echo: async ({ nonce }: EchoCmd) => ({ success: true, nonce }),
    ping: async () => {
      throw new DomainError('CONFLICT', 'not now', { why: 'test' });
    },
    watch: watch as (request: WatchCmd, context: CallContext) => AsyncIterable<WatchItem>,
  };
  const server = await startHttpServer({
    listen: { address: '127.0.0.1', port: 0 },
    tls: tls('agent'),
    clientCertificates: 'required',
    identify: identifyByCertificate,
    dispatcher: makeDispatcher(table, handlers, { log: silentLogger, errorBody: envelopeError }),
    streamFormat: 'ndjson',
    errorBody: envelopeError,
    log: silentLogger,
  });
  servers.push(server);
  return { hostUuid: 'h1', address: '127.0.0.1', port: server.port };
}

async function* nothing(): AsyncGenerator<object> {
  // Ends at once.
}

const limit = { deadlineMs: 5_000 };
const gateway = httpAgentGateway({ tls: tls('server') });

test('contract: a call is answered and validated', async () => {
  const to = await agent(nothing);
  const answer = await gateway.call(to, agentRoutes.echo, { command: { nonce: 'n' }, ...limit });
  expect(answer).toMatchObject({ success: true, nonce: 'n' });
});

test('contract: a refusal is a RemoteError with the code and facts of the agent', async () => {
  const to = await agent(nothing);
  const call = gateway.call(to, agentRoutes.ping, { command: {}, ...limit });
  const error = await call.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RemoteError);
  expect(error).toMatchObject({ status: 409, code: 'CONFLICT', facts: { why: 'test' } });
});

test('contract: a route that an older agent does not know is told as such', async () => {
  const to = await agent(nothing);
  const call = gateway.call(to, agentRoutes.facts, { command: {}, ...limit });
  const error = await call.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'NO_SUCH_ROUTE' });
});

test('contract: nobody there is a TransportError that says refused', async () => {
  const to = await agent(nothing);
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  const call = gateway.call(to, agentRoutes.echo, { command: { nonce: 'n' }, ...limit });
  await expect(call).rejects.toMatchObject({ name: 'TransportError', failure: 'refused' });
});

test('contract: the caller has to prove who it is', async () => {
  const to = await agent(nothing);
  const stranger = makeTestCa('stranger').issue({
    name: 's',
    role: 'server',
    hosts: ['127.0.0.1'],
  });
  const outside = httpAgentGateway({ tls: { ...stranger, ca: ca.ca } });
  const call = outside.call(to, agentRoutes.echo, { command: { nonce: 'n' }, ...limit });
  await expect(call).rejects.toBeInstanceOf(TransportError);
});

const watchLimit = { heartbeatEveryMs: 700, connectTimeoutMs: 5_000 };

test('contract: the watch stream yields items with the wished interval until it is given up', async () => {
  let asked: number | undefined;
  let gone = false;
  const to = await agent(async function* ({ heartbeatEveryMs }, { signal }) {
    asked = heartbeatEveryMs;
    yield item(1);
    yield item(2);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    gone = true;
  });
  const controller = new AbortController();
  const seen: number[] = [];
  const read = async (): Promise<void> => {
    const options = { ...watchLimit, signal: controller.signal };
    for await (const { sequence } of gateway.watch(to, options)) {
      seen.push(sequence);
      if (sequence === 2) controller.abort(new Error('enough'));
    }
  };
  await expect(read()).rejects.toMatchObject({ name: 'TransportError' });
  expect([asked, seen]).toEqual([700, [1, 2]]);
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  expect(gone).toBe(true);
});

test('contract: a line that is not valid ends the stream', async () => {
  const to = await agent(async function* () {
    yield item(1);
    yield { kind: 'nonsense' };
    yield item(3);
  });
  const seen: number[] = [];
  const read = async (): Promise<void> => {
    const options = { ...watchLimit, signal: new AbortController().signal };
    for await (const { sequence } of gateway.watch(to, options)) seen.push(sequence);
  };
  await expect(read()).rejects.toMatchObject({ name: 'TransportError', failure: 'other' });
  expect(seen).toEqual([1]);
});
