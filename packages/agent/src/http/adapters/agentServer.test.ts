import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { axiosTransport, readTlsFiles, silentLogger, systemClock } from '@fenceline/common';
import { agentRoutes, agentStreams, readAnswer, type RawAnswer } from '@fenceline/protocol';
import { makeAuthority, type Authority } from '../../../test/certificates.js';
import { FakeHost, HOST } from '../../../test/fakeHost.js';
import { composeAgent, type AgentCore } from '../../index.js';
import { httpsEcho } from '../../probe/adapters/httpsEcho.js';
import { startAgentServer, type AgentServer } from './agentServer.js';

let dir = '';
let authority: Authority;
let agent: AgentCore;
let server: AgentServer;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'fenceline-tls-'));
  authority = makeAuthority(dir);
  const host = new FakeHost();
  await host.state.adopt(HOST, []);
  agent = composeAgent({ ...host.ports(), clock: systemClock });
  await agent.start();
  server = await startAgentServer({
    listen: ['127.0.0.1'],
    port: 0,
    tls: readTlsFiles(authority.issue('h1', 'sibling')),
    dispatcher: agent.dispatcher,
    log: silentLogger,
  });
});
afterAll(async () => {
  await server.stop();
  await agent.stop();
  rmSync(dir, { recursive: true, force: true });
});

const limits = { deadlineMs: 5_000 };
function transport(name: string, role: string): ReturnType<typeof axiosTransport> {
  const tls = readTlsFiles(authority.issue(name, role));
  return axiosTransport({ baseUrl: `https://127.0.0.1:${server.port}`, tls });
}
function post(name: string, role: string, path: string): Promise<RawAnswer> {
  return transport(name, role).send({ method: 'POST', path, fields: { nonce: 'n' } }, limits);
}

test('the server may call, and gets what the route promises', async () => {
  const raw = await post('server', 'server', '/host/ping');
  expect(readAnswer(agentRoutes.ping, raw)).toMatchObject({ success: true, hostUuid: HOST });
});

test('a sibling gets an echo and nothing more; another role gets nothing', async () => {
  expect((await post('h2', 'sibling', '/host/echo')).status).toBe(200);
  expect((await post('h2', 'sibling', '/vm/sync')).status).toBe(403);
  expect((await post('x', 'admin', '/host/echo')).status).toBe(401);
  expect((await post('server', 'server', '/no/such')).status).toBe(404);
});

test('a certificate of another CA, or none, does not get in', async () => {
  const otherDir = mkdtempSync(join(tmpdir(), 'fenceline-tls-'));
  const foreign = readTlsFiles(makeAuthority(otherDir).issue('server', 'server'));
  rmSync(otherDir, { recursive: true });
  const { ca } = readTlsFiles(authority.issue('server', 'server'));
  const baseUrl = `https://127.0.0.1:${server.port}`;
  const request = { method: 'POST', path: '/host/ping', fields: {} } as const;
  for (const tls of [{ ...foreign, ca }, { ca }])
    await expect(axiosTransport({ baseUrl, tls }).send(request, limits)).rejects.toThrow();
  const plain = axiosTransport({ baseUrl: baseUrl.replace('https', 'http'), tls: { ca } });
  await expect(plain.send(request, limits)).rejects.toThrow();
});

test('D4: the echo of one agent to another says who it is', async () => {
  const echo = httpsEcho(readTlsFiles(authority.issue('h2', 'sibling')));
  const { signal } = new AbortController();
  const at = { address: '127.0.0.1', port: server.port, nonce: 'abc' };
  expect(await echo.echo(at, { limitMs: 5_000, signal })).toBe(HOST);
  await expect(echo.echo({ ...at, port: 1 }, { limitMs: 1_000, signal })).rejects.toThrow();
});

test('D1: the watch stream comes through as lines', async () => {
  const stop = new AbortController();
  const { path } = agentStreams.watch;
  const kinds: unknown[] = [];
  for await (const item of transport('server', 'server').open(
    { method: 'GET', path, fields: { heartbeatEveryMs: 100 } },
    { connectTimeoutMs: 5_000, signal: stop.signal },
  )) {
    kinds.push((item as { kind: string }).kind);
    if (kinds.length === 3) break;
  }
  stop.abort();
  expect(kinds).toEqual(['heartbeat', 'heartbeat', 'heartbeat']);
});

test('a port that is in use is told as a sentence', async () => {
  const again = startAgentServer({
    listen: ['127.0.0.1'],
    port: server.port,
    tls: readTlsFiles(authority.issue('h1', 'sibling')),
    dispatcher: agent.dispatcher,
    log: silentLogger,
  });
  await expect(again).rejects.toThrow(
    `127.0.0.1 port ${server.port} is in use by another program: stop it or set agent.port`,
  );
});
