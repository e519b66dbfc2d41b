import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { axiosTransport, silentLogger } from '@fenceline/common';
import { makeTestCa, recordingLogger } from '@fenceline/common/testing';
import { apiRoutes, callRoute } from '@fenceline/protocol';
import { afterAll, expect, test } from '@jest/globals';
import { composeServer } from '../src/compose.js';
import type { ComposeOptions } from '../src/composeTypes.js';
import { ServerConfig } from '../src/config.js';

const ca = makeTestCa();
const tls = { api: ca.issue({ name: 'api' }), agents: ca.issue({ name: 's', role: 'server' }) };
const dirs: string[] = [];
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});
function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'fenceline-server-'));
  dirs.push(dir);
  return dir;
}

function options(stateDir: string, port = 0): ComposeOptions {
  const config = new ServerConfig();
  Object.assign(config, { stateDir, server: { address: '127.0.0.1', port } });
  return { config, log: silentLogger, tls, newAdminToken: false };
}

test('the first start makes an admin token, the second none; the token works', async () => {
  const dir = newDir();
  const { log, lines } = recordingLogger();
  const first = await composeServer({ ...options(dir), log });
  const token = first.adminToken?.reveal() ?? '';
  await first.stop();
  const second = await composeServer({ ...options(dir), log });
  expect(second.adminToken).toBeUndefined();
  const transport = axiosTransport({
    baseUrl: `https://127.0.0.1:${second.port}`,
    tls: { ca: ca.ca },
    token: { reveal: () => token },
  });
  const status = await callRoute(
    { transport, route: apiRoutes.status, request: {} },
    { deadlineMs: 10_000 },
  );
  expect(status.clusters.map(({ cluster }) => cluster.name)).toEqual(['default']);
  await second.stop();
  expect(JSON.stringify(lines)).not.toContain(token);
});

test('a first start that failed has not lost the token: the next one shows it', async () => {
  const dir = newDir();
  const blocker = createServer();
  const port = await new Promise<number>((resolve) => {
    blocker.listen(0, '127.0.0.1', () => {
      const address = blocker.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  await expect(composeServer(options(dir, port))).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await new Promise((resolve) => {
    blocker.close(resolve);
  });
  const server = await composeServer(options(dir));
  expect(server.adminToken).toBeDefined();
  await server.stop();
});

test('a second server on the same database is refused; after a stop the next one may', async () => {
  const dir = newDir();
  const first = await composeServer(options(dir));
  await expect(composeServer(options(dir))).rejects.toMatchObject({ code: 'LOCKED' });
  await first.stop();
  await (await composeServer(options(dir))).stop();
});
