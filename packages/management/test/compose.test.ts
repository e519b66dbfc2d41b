import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { axiosTransport, Secret, silentLogger } from '@fenceline/common';
import { makeTestCa, recordingLogger } from '@fenceline/common/testing';
import { apiRoutes, callRoute } from '@fenceline/protocol';
import { afterAll, expect, test } from '@jest/globals';
import { composeServer } from '../src/compose.js';
import type { ComposeOptions } from '../src/composeTypes.js';
import { ServerConfig } from '../src/config.js';
import { hostRow, hostUuid } from '../src/ha/testing/rows.js';
import { fileLoginVault } from '../src/hosts/adapters/fileLoginVault.js';
import { openSqliteStore } from '../src/store/adapters/sqlite.js';

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

test('what was stored is looked at by each start: a chain that was changed, a power set-up that is refused', async () => {
  const dir = newDir();
  const first = await composeServer(options(dir));
  const token = first.adminToken?.reveal() ?? '';
  await first.stop();
  const h1 = hostUuid(1);
  const store = await openSqliteStore(dir);
  await store.db.insertInto('hosts').values(hostRow(h1, 'h1')).execute();
  const parameters = new Secret('{"plug":"a","missing_as_off":"1"}');
  const device = {
    ...{ uuid: 'device-1', hostUuid: h1, level: 1, position: 1, agent: 'fence_virsh' },
    parametersSealed: await fileLoginVault(dir).seal('device-1', parameters),
    verifiedAt: '2026-01-01T00:00:00.000Z',
  };
  await store.db.insertInto('powerDevices').values(device).execute();
  const digest = '1'.repeat(64);
  const start = {
    ...{ sequence: 1, taskUuid: null, vmUuid: 'a', epoch: 1, hostUuid: h1, bootId: 'b' },
    ...{ openedAt: '2026-01-01T00:00:00.000Z', standsOn: digest, previousDigest: digest, digest },
  };
  await store.db.insertInto('starts').values(start).execute();
  await store.close();

  const second = await composeServer(options(dir));
  const transport = axiosTransport({
    baseUrl: `https://127.0.0.1:${second.port}`,
    tls: { ca: ca.ca },
    token: { reveal: () => token },
  });
  const call = { deadlineMs: 10_000 };
  const ask = async () => {
    const { items } = await callRoute(
      { transport, route: apiRoutes.listEvents, request: {} },
      call,
    );
    const { alarms } = await callRoute({ transport, route: apiRoutes.status, request: {} }, call);
    return [...items, ...alarms].map(({ kind }) => kind);
  };
  let kinds = await ask();
  for (let i = 0; i < 100 && !kinds.includes('proofs.chainBroken'); i += 1) kinds = await ask();
  expect(kinds).toContain('host.powerRefused');
  expect(kinds.filter((kind) => kind === 'proofs.chainBroken')).toHaveLength(2);
  await second.stop();
});
