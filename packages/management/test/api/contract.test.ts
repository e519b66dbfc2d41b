import {
  apiRoutes,
  fillPath,
  readAnswer,
  requestOf,
  type CallerRole,
  type RawAnswer,
  type Route,
} from '@fenceline/protocol';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startTestApi, type TestApi } from './harness.js';
import { samples } from './samples.js';
import { POWER_CANARY } from './seed.js';

interface Case {
  name: string;
  route: Route<object, object>;
  sample: { request: object; answer: object; asks?: { what: string } };
}

const cases: Case[] = Object.entries(apiRoutes).map(([name, route]) => ({
  name,
  route: route as unknown as Route<object, object>,
  sample: samples[name as keyof typeof samples],
}));

const OPTIONS = { deadlineMs: 10_000 };

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.stop());

const send = (role: 'viewer' | 'operator' | 'admin', { route, sample }: Case) =>
  api.as(role).send(requestOf(route, sample.request), OPTIONS);

function expectProblem(raw: RawAnswer, status: number, code: string): void {
  expect(raw.status).toBe(status);
  expect(raw.body).toMatchObject({
    type: `urn:fenceline:error:${code}`,
    title: code,
    status,
    code,
    detail: expect.any(String),
  });
}

test.each(cases)('$name: request and answer survive the wire', async (each) => {
  const raw = await send('admin', each);
  expect({ status: raw.status, body: raw.body }).toEqual({ status: 200, body: expect.anything() });
  const answer = readAnswer(each.route, raw);
  // What the route doesn't state would be dropped by the reader: nothing may be.
  expect(JSON.parse(JSON.stringify(answer))).toEqual(raw.body);
  expect(raw.body).toMatchObject(each.sample.answer);
  if (each.sample.asks !== undefined)
    expect(api.asked).toEqual([expect.objectContaining(each.sample.asks)]);
});

const roles = ['viewer', 'operator', 'admin'] as const;
const forbidden = cases.flatMap((each) =>
  roles
    .filter((role) => !each.route.roles.includes(role satisfies CallerRole))
    .map((role) => ({ ...each, role })),
);

test.each(forbidden)('$name may not be called as $role', async (each) => {
  expectProblem(await send(each.role, each), 403, 'FORBIDDEN');
  expect(api.asked).toEqual([]);
});

test('a viewer changes nothing: each route that is no GET refuses one', () => {
  for (const { name, route } of cases)
    if (route.method !== 'GET') expect([name, route.roles]).not.toEqual([name, [...roles]]);
});

test('every change leaves an audit row with actor, role, action and reason', async () => {
  for (const each of cases.filter(({ route }) => route.method !== 'GET')) {
    await send('admin', each);
    const rows = await api.store.db.selectFrom('audit').selectAll().orderBy('id').execute();
    expect([each.name, rows.at(-1)]).toEqual([
      each.name,
      expect.objectContaining({ actor: 'ada', role: 'admin' }),
    ]);
    await api.store.db.deleteFrom('audit').execute();
  }
});

describe('who calls', () => {
  const readStatus = requestOf(apiRoutes.status, {});

  test('without a token: 401', async () => {
    expectProblem(await api.caller().send(readStatus, OPTIONS), 401, 'UNAUTHENTICATED');
  });

  test.each([
    ['fenceline_' + '0'.repeat(64), 'of the right form'],
    ['anything', 'of no form'],
    ['x'.repeat(5_000), 'too long'],
  ])('with a wrong token (%#): 401', async (token) => {
    expectProblem(await api.caller(token).send(readStatus, OPTIONS), 401, 'UNAUTHENTICATED');
  });

  test('a revoked token is worthless at once', async () => {
    const revoke = requestOf(apiRoutes.revokeToken, { token: 'otto' });
    expect((await api.as('admin').send(revoke, OPTIONS)).status).toBe(200);
    expectProblem(await api.as('operator').send(readStatus, OPTIONS), 401, 'UNAUTHENTICATED');
  });

  test('the last admin token stays', async () => {
    const revoke = requestOf(apiRoutes.revokeToken, { token: 'ada' });
    expectProblem(await api.as('admin').send(revoke, OPTIONS), 409, 'REFUSED');
  });

  test('many failures: 429 for guessers, a good token still works', async () => {
    for (let i = 0; i < 20; i += 1) await api.caller('guess').send(readStatus, OPTIONS);
    expectProblem(await api.caller('guess').send(readStatus, OPTIONS), 429, 'TOO_MANY_REQUESTS');
    expect((await api.as('viewer').send(readStatus, OPTIONS)).status).toBe(200);
  });
});

test('F28: no token and no power parameter is in any answer, log line, event or audit row', async () => {
  const answers: string[] = [];
  for (const each of cases) {
    const raw = await send('admin', each);
    if (each.name !== 'createToken') answers.push(JSON.stringify(raw.body));
    if (each.name === 'createToken') {
      const { token, ...rest } = raw.body as { token: string };
      expect(token).toMatch(/^fenceline_[0-9a-f]{64}$/);
      api.secrets.viewer = token;
      answers.push(JSON.stringify(rest));
    }
  }
  const audit = await api.store.db.selectFrom('audit').selectAll().execute();
  const events = await api.store.db.selectFrom('events').selectAll().execute();
  const hashes = await api.store.db.selectFrom('tokens').select('tokenSha256').execute();
  const all = JSON.stringify([answers, audit, events, api.lines, api.asked]);
  const secrets = [POWER_CANARY, 'canary-new-device', ...Object.values(api.secrets)];
  expect(hashes.length).toBeGreaterThan(1);
  for (const secret of [...secrets, ...hashes.map((row) => row.tokenSha256)])
    expect(all).not.toContain(secret);
});

describe('what is wrong is told as problem details', () => {
  test.each([
    [
      'an unknown host',
      'GET',
      '/v1/hosts/h7',
      {},
      404,
      'NOT_FOUND',
      'no host named h7; see: fenceline host list',
    ],
    [
      'an unknown uuid',
      'GET',
      `/v1/vms/${'9'.repeat(32)}`,
      {},
      404,
      'NOT_FOUND',
      'no VM with uuid',
    ],
    ['no uuid', 'GET', '/v1/ha-tasks/7', {}, 400, 'BAD_INPUT', 'taskUuid: '],
    ['an unknown route', 'GET', '/v1/nothing', {}, 404, 'NO_SUCH_ROUTE', 'no such route'],
    ['no reason', 'POST', '/v1/vms/web1/ha-start', {}, 400, 'BAD_INPUT', 'reason: '],
    [
      'another name typed',
      'POST',
      '/v1/hosts/h1/confirm-dead',
      { typedName: 'h2', reason: 'r' },
      400,
      'BAD_INPUT',
      'typedName: ',
    ],
    [
      'a uuid typed as name',
      'POST',
      '/v1/hosts/h1/confirm-dead',
      { typedName: '00000000-0000-4000-8000-000000000001', reason: 'r' },
      400,
      'BAD_INPUT',
      'by hand',
    ],
    ['a refusal of a service', 'DELETE', '/v1/hosts/h1', {}, 409, 'REFUSED', 'open run of web1'],
    ['a cursor of another list', 'GET', '/v1/hosts', { cursor: 'x' }, 400, 'BAD_INPUT', 'cursor: '],
    [
      'a name that reads as a uuid',
      'POST',
      '/v1/clusters',
      { name: '0'.repeat(32) },
      400,
      'BAD_INPUT',
      'name: ',
    ],
    [
      'a second cluster of a name',
      'POST',
      '/v1/clusters',
      { name: 'default' },
      409,
      'CONFLICT',
      'exists already',
    ],
    [
      'a line break in a parameter',
      'POST',
      '/v1/hosts',
      {
        name: 'h8',
        addresses: ['192.0.2.1'],
        powerDevice: { agent: 'fence_x', parameters: { a: 'b\nc=d' } },
      },
      400,
      'BAD_INPUT',
      'powerDevice.parameters: ',
    ],
    [
      'a private key that is none',
      'PUT',
      '/v1/hosts/h1/login',
      { kind: 'privateKey', secret: 'x' },
      400,
      'BAD_INPUT',
      'secret: is no private key',
    ],
    [
      'an unknown setting',
      'PUT',
      '/v1/settings/ha.prefence.sshTimeout',
      { value: 1 },
      404,
      'NOT_FOUND',
      'did you mean ha.preFence.sshTimeoutSec?',
    ],
    [
      'a setting out of range',
      'PUT',
      '/v1/settings/ha.preFence.sshTimeoutSec',
      { value: 0 },
      400,
      'BAD_INPUT',
      'ha.preFence.sshTimeoutSec: ',
    ],
    [
      'a broken relation',
      'PUT',
      '/v1/settings/ha.detect.silentAfterMs',
      { value: 2_000 },
      400,
      'BAD_INPUT',
      'at least 3 heartbeats',
    ],
  ] as const)('%s', async (_what, method, path, fields, status, code, text) => {
    const raw = await api.as('admin').send({ method, path, fields }, OPTIONS);
    expectProblem(raw, status, code);
    expect(JSON.stringify(raw.body)).toContain(text);
  });

  test('a failed change leaves a second audit row with its code', async () => {
    const remove = requestOf(apiRoutes.removeHost, { host: 'h1', reason: 'old' });
    await api.as('admin').send(remove, OPTIONS);
    const rows = await api.store.db.selectFrom('audit').selectAll().orderBy('id').execute();
    expect(rows.map(({ action, reason, factsJson }) => [action, reason, factsJson])).toEqual([
      ['host.remove', 'old', '{"name":"h1"}'],
      ['host.remove', 'old', '{"name":"h1","failed":"REFUSED"}'],
    ]);
  });
});

test('two VMs of one name: the answer says which uuids there are', async () => {
  await api.store.db.updateTable('vms').set({ name: 'web1' }).execute();
  const path = fillPath(apiRoutes.showVm.path, { vm: 'web1' }).path;
  const raw = await api.as('viewer').send({ method: 'GET', path, fields: {} }, OPTIONS);
  expectProblem(raw, 409, 'CONFLICT');
  expect(JSON.stringify(raw.body)).toContain('0000000000a1, 00000000-0000-4000-8000-0000000000a2');
});
