import { axiosTransport } from '@fenceline/common';
import { apiRoutes, apiStreams, readAnswer, readItem, requestOf } from '@fenceline/protocol';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { startTestApi, type TestApi } from './harness.js';

const OPTIONS = { deadlineMs: 10_000 };

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.stop());

describe('events as a stream', () => {
  async function take(count: number, after?: number): Promise<string[]> {
    const stop = new AbortController();
    const asked = requestOf(apiStreams.followEvents, {
      follow: true,
      ...(after === undefined ? {} : { after }),
    });
    const texts: string[] = [];
    const items = api.as('viewer').open(asked, { connectTimeoutMs: 5_000, signal: stop.signal });
    for await (const item of items) {
      texts.push(readItem(apiStreams.followEvents, item).text);
      if (texts.length === count) break;
    }
    stop.abort();
    return texts;
  }

  test('from an id on: what was stored, then what happens, each once and in order', async () => {
    for (const n of [1, 2, 3]) await api.events.record({ kind: 'vm.stopped', text: `${n}` });
    const seen = take(6, 1);
    for (const n of [4, 5, 6, 7]) await api.events.record({ kind: 'vm.stopped', text: `${n}` });
    expect(await seen).toEqual(['2', '3', '4', '5', '6', '7']);
  });

  test('a server that stops ends its streams', async () => {
    const asked = requestOf(apiStreams.followEvents, { follow: true, after: 0 });
    await api.events.record({ kind: 'vm.stopped', text: 'first' });
    const stop = new AbortController();
    const items = api.as('viewer').open(asked, { connectTimeoutMs: 5_000, signal: stop.signal });
    const texts: unknown[] = [];
    for await (const item of items) {
      texts.push(item);
      await api.stopServer();
    }
    expect(texts).toHaveLength(1);
  });

  test('more events than one reading takes arrive all', async () => {
    const rows = Array.from({ length: 1_203 }, (_, i) => ({
      at: '2026-01-01T00:00:00.000Z',
      kind: 'vm.stopped',
      severity: 'info' as const,
      hostUuid: null,
      vmUuid: null,
      taskUuid: null,
      text: `${i}`,
      factsJson: '{}',
    }));
    await api.store.db.insertInto('events').values(rows).execute();
    expect(await take(1_203, 0)).toEqual(rows.map(({ text }) => text));
  });
});

describe('lists go on where the page before ended', () => {
  test('hosts by name', async () => {
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const query = { limit: 2, ...(cursor === undefined ? {} : { cursor }) };
      const page = readAnswer(
        apiRoutes.listHosts,
        await api.as('viewer').send(requestOf(apiRoutes.listHosts, query), OPTIONS),
      );
      names.push(...page.items.map(({ name }) => name));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(names).toEqual(['h1', 'h2', 'h3']);
  });

  test('a kind of event that there is not is an error with near ones, no empty list', async () => {
    const said = async (kind: string) =>
      readAnswer(
        apiRoutes.listEvents,
        await api.as('viewer').send(requestOf(apiRoutes.listEvents, { kind }), OPTIONS),
      );
    await expect(said('ha.fense')).rejects.toThrow(
      'kind: there is no such kind of event; did you mean ha.fence?',
    );
    await expect(said('zzz')).rejects.toThrow('they begin with fence, ha, host, ');
    for (const kind of ['ha', 'ha.task', 'host.powerSet']) await said(kind);
  });

  test('power-set answers with the host as host show does, who can fence it included', async () => {
    const asked = { host: 'h1', levels: [] };
    const raw = await api.as('admin').send(requestOf(apiRoutes.setHostPower, asked), OPTIONS);
    const set = readAnswer(apiRoutes.setHostPower, raw);
    const show = requestOf(apiRoutes.showHost, { host: 'h1' });
    expect(set).toEqual(readAnswer(apiRoutes.showHost, await api.as('viewer').send(show, OPTIONS)));
    expect(set.canBeFencedBy).not.toEqual([]);
  });

  test('F34: no hook works, as far as is known, on a host whose agent is not connected', async () => {
    const hooks = async (change: object) => {
      await api.store.db.updateTable('hosts').set(change).where('name', '=', 'h1').execute();
      const ask = { ...OPTIONS };
      const viewer = api.as('viewer');
      const shown = await viewer.send(requestOf(apiRoutes.showHost, { host: 'h1' }), ask);
      const ready = readAnswer(
        apiRoutes.readiness,
        await viewer.send(requestOf(apiRoutes.readiness, {}), ask),
      );
      return [
        readAnswer(apiRoutes.showHost, shown).hookWorking,
        ready.hosts.find(({ name }) => name === 'h1')?.hookWorking,
      ];
    };
    expect(await hooks({ hookWorking: 1 })).toEqual([true, true]);
    expect(await hooks({ status: 'Disconnected' })).toEqual([null, null]);
    expect(await hooks({ status: 'Connected', liveness: 'suspect' })).toEqual([null, null]);
    expect(await hooks({ liveness: 'online', hookWorking: 0 })).toEqual([false, false]);
  });

  test('events newest first, and with after oldest first', async () => {
    for (const n of [1, 2, 3, 4, 5]) await api.events.record({ kind: 'vm.stopped', text: `${n}` });
    const read = async (query: object): Promise<[string[], string | undefined]> => {
      const asked = requestOf(apiRoutes.listEvents, query);
      const raw = await api.as('viewer').send(asked, OPTIONS);
      const page = readAnswer(apiRoutes.listEvents, raw);
      return [page.items.map(({ text }) => text), page.nextCursor];
    };
    const [newest, cursor] = await read({ limit: 2 });
    expect(newest).toEqual(['5', '4']);
    expect((await read({ limit: 2, cursor }))[0]).toEqual(['3', '2']);
    const [oldest, next] = await read({ limit: 2, after: 1 });
    expect(oldest).toEqual(['2', '3']);
    expect(await read({ limit: 2, after: 1, cursor: next })).toEqual([['4', '5'], undefined]);
    expect((await read({ kind: 'vm', severity: 'info' }))[0]).toHaveLength(5);
    expect((await read({ severity: 'warning' }))[0]).toEqual([]);
  });
});

describe('a disk that is full while the server runs', () => {
  const get = (path: string) =>
    axiosTransport({ baseUrl: api.baseUrl, tls: { ca: api.ca } }).send(
      { method: 'GET', path, fields: {} },
      OPTIONS,
    );

  test('changes are refused with what to do, status shows the alarm, /readyz is false', async () => {
    expect(await get('/readyz')).toEqual({ status: 200, body: { ready: true } });
    await sql`pragma max_page_count = 1`.execute(api.store.db);
    const name = 'c'.repeat(60);
    let raw = { status: 200, body: {} as unknown };
    // Free room in the last page takes a few rows still.
    for (let i = 0; i < 200 && raw.status === 200; i += 1) {
      const asked = requestOf(apiRoutes.createCluster, { name: `${name}${i}` });
      raw = await api.as('admin').send(asked, OPTIONS);
    }
    expect(raw).toMatchObject({
      status: 507,
      body: { code: 'STORE_FAILED', detail: expect.stringContaining('free some space') },
    });
    expect(await get('/readyz')).toMatchObject({ status: 503, body: { ready: false } });
    expect(await get('/healthz')).toMatchObject({ status: 200, body: { alive: true } });
    const asked = requestOf(apiRoutes.status, {});
    const status = await api.as('viewer').send(asked, OPTIONS);
    const { alarms } = status.body as { alarms: object[] };
    expect(alarms).toContainEqual(
      expect.objectContaining({ severity: 'critical', kind: 'store.failed' }),
    );
  });
});
