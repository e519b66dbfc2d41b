import { describe, expect, test } from '@jest/globals';
import { agentRoutes, agentStreams } from './agentRoutes.js';
import { makeClient, readItem } from './client.js';
import { errorOf, ok } from './envelope.js';
import { DomainError, ERROR_STATUS, isErrorCode, isFacts, type ErrorCode } from './errors.js';
import { EchoRsp, PingRsp } from './host.js';
import { fillPath, route } from './route.js';
import {
  BadAnswerError,
  readAnswer,
  RemoteError,
  type CallOptions,
  type RawAnswer,
  type Transport,
  type TransportRequest,
} from './transport.js';

const { echo, fenceVm, vmSync, vmDomain } = agentRoutes;
const A = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('readAnswer', () => {
  test('a good answer is an instance of the route', () => {
    const answer = readAnswer(echo, { status: 200, body: { success: true, nonce: 'n' } });
    expect(answer).toBeInstanceOf(EchoRsp);
    expect(answer).toEqual({ success: true, nonce: 'n' });
  });

  test.each<[object, string]>([
    [{}, 'absent'],
    [{ success: false }, 'false'],
    [{ success: null }, 'null'],
  ])('success %j never counts as success: %s', (body) => {
    const raw = { status: 200, body: { nonce: 'n', ...body } };
    const thrown = caught(() => readAnswer(echo, raw));
    if (thrown === undefined) expect(readAnswer(echo, raw).success).toBe(false);
    else expect(thrown).toBeInstanceOf(BadAnswerError);
  });

  test.each<[unknown, string]>([
    ['true', 'a text'],
    [1, 'a number'],
    [[true], 'a list'],
    [{}, 'an object'],
  ])('success %j is no answer that can be believed: %s', (success) => {
    const raw = { status: 200, body: { success, nonce: 'n' } };
    expect(caught(() => readAnswer(echo, raw))).toBeInstanceOf(BadAnswerError);
  });

  test('an answer that failed and says what it knows is returned, not thrown (F24)', () => {
    const body = {
      success: false,
      error: { code: 'TIMED_OUT', message: 'no end line' },
      outcome: 'deadline',
      stages: [{ name: 'connect', ms: 12 }],
    };
    const answer = readAnswer(fenceVm, { status: 200, body });
    expect(answer).toMatchObject({ success: false, outcome: 'deadline' });
    expect(errorOf(answer.error, 'x')).toMatchObject({ code: 'TIMED_OUT' });
  });

  test('a failed answer without its other fields is a refusal with its code', () => {
    const body = { success: false, error: { code: 'LIBVIRT_FAILED', message: 'no libvirtd' } };
    const error = caught(() => readAnswer(vmSync, { status: 200, body }));
    expect(error).toMatchObject({ name: 'RemoteError', code: 'LIBVIRT_FAILED', status: 200 });
  });

  test.each<[unknown, string]>([
    [{ success: true, outcome: 'confirmedDead', qemuConfirmedDead: 'yes' }, 'a wrong type'],
    [{ success: true, outcome: 'mostlyDead', qemuConfirmedDead: true }, 'an unknown outcome'],
    ['<html>', 'another program'],
    [null, 'nothing'],
    [[], 'a list'],
  ])('an unparsable 200 is no verdict: %j (%s)', (body) => {
    const error = caught(() => readAnswer(fenceVm, { status: 200, body }));
    expect(error).toBeInstanceOf(BadAnswerError);
    expect(error).toMatchObject({ status: 200 });
  });

  test('F15: a 404 without our error body is an older agent', () => {
    for (const body of ['<html>not found</html>', {}, undefined, { error: 'Not Found' }])
      expect(caught(() => readAnswer(fenceVm, { status: 404, body }))).toMatchObject({
        name: 'DomainError',
        code: 'NO_SUCH_ROUTE',
        message: '/ha/fence/vm/from/peer: agent endpoint not found',
      });
  });

  test('a 404 with a code is what the code says', () => {
    const body = { success: false, error: { code: 'NOT_FOUND', message: 'no such VM' } };
    const error = caught(() => readAnswer(vmDomain, { status: 404, body }));
    expect(error).toMatchObject({ name: 'RemoteError', code: 'NOT_FOUND', status: 404 });
  });

  test('problem details of the server API are understood', () => {
    const body = {
      type: 'urn:fenceline:error:CONFLICT',
      title: 'CONFLICT',
      status: 409,
      code: 'CONFLICT',
      detail: 'a host of that name exists',
      facts: { name: 'h1' },
    };
    const error = caught(() => readAnswer(echo, { status: 409, body }));
    expect(error).toBeInstanceOf(RemoteError);
    expect(error).toMatchObject({
      code: 'CONFLICT',
      message: 'a host of that name exists',
      facts: { name: 'h1' },
    });
  });

  test.each<[unknown, string]>([
    [{ error: {} }, 'an error without a code is no error of ours'],
    [{ error: { code: 5, message: 'x' } }, 'a code is a text'],
    [{ error: ['x'] }, 'a list'],
    ['Bad Gateway', 'a proxy'],
    [{ code: 'X'.repeat(65), detail: 'x' }, 'a code has a bound'],
  ])('500 with %j is not believed: %s', (body) => {
    const error = caught(() => readAnswer(echo, { status: 500, body }));
    expect(error).toMatchObject({ name: 'BadAnswerError', status: 500 });
    expect(String(error)).not.toContain('Gateway');
  });

  test('facts that are not flat are dropped, the error stays', () => {
    const body = { error: { code: 'REFUSED', message: 'no', facts: { deep: { er: 1 } } } };
    expect(caught(() => readAnswer(echo, { status: 409, body }))).toMatchObject({
      code: 'REFUSED',
      facts: {},
    });
  });

  test('a redirect is no answer', () => {
    const error = caught(() => readAnswer(echo, { status: 302, body: { success: true } }));
    expect(error).toBeInstanceOf(BadAnswerError);
  });
});

describe('errors', () => {
  test.each(Object.entries(ERROR_STATUS))('%s travels as %i and comes back', (code, status) => {
    expect(isErrorCode(code)).toBe(true);
    const error = new DomainError(code as ErrorCode, 'why', { n: 1 });
    expect(error.status).toBe(status);
    expect(status).toBeGreaterThanOrEqual(400);
    const raw: RawAnswer = { status, body: { success: false, error: error.toBody() } };
    expect(
      caught(() => readAnswer(echo, JSON.parse(JSON.stringify(raw)) as RawAnswer)),
    ).toMatchObject({
      name: 'RemoteError',
      status,
      code,
      message: 'why',
      facts: { n: 1 },
    });
  });

  test('a stale epoch is 409, an invalid body 400, a full one 413, a stop 503', () => {
    expect(ERROR_STATUS).toMatchObject({
      STALE_EPOCH: 409,
      BAD_INPUT: 400,
      TOO_LARGE: 413,
      STOPPING: 503,
      UNAUTHENTICATED: 401,
      FORBIDDEN: 403,
      NO_SUCH_ROUTE: 404,
    });
  });

  test('an unknown code of the wire is INTERNAL here', () => {
    expect(isErrorCode('toString')).toBe(false);
    expect(errorOf({ code: 'NEW_ONE', message: 'm' }, 'x').code).toBe('INTERNAL');
    expect(errorOf(undefined, 'nothing said')).toMatchObject({ message: 'nothing said' });
  });

  test('facts are flat', () => {
    expect(isFacts({ a: 1, b: 'x', c: null, d: false })).toBe(true);
    for (const bad of [null, [], 'x', { a: {} }, { a: [1] }, { a: undefined }])
      expect(isFacts(bad)).toBe(false);
  });
});

describe('fillPath', () => {
  test('fills in and leaves the rest', () => {
    expect(fillPath('/vm/:vmUuid/domain', { vmUuid: A, limit: 3 })).toEqual({
      path: `/vm/${A}/domain`,
      rest: { limit: 3 },
    });
  });

  test.each<[unknown, string, string]>([
    ['a/b', 'a%2Fb', 'a slash stays inside its part'],
    ['a?b#c', 'a%3Fb%23c', 'no query, no fragment'],
    ['ü', '%C3%BC', 'unicode'],
    [7, '7', 'a number'],
  ])('%j becomes %s: %s', (name, expected) => {
    expect(fillPath('/x/:name', { name }).path).toBe(`/x/${expected}`);
  });

  test.each([['..'], ['.'], [''], [undefined], [null], [{}]])(
    '%j would be another path',
    (name) => {
      expect(() => fillPath('/x/:name/y', { name })).toThrow('name');
    },
  );
});

describe('client', () => {
  const sent: { request: TransportRequest; options: CallOptions }[] = [];
  const transport: Transport = {
    send: (request, options) => {
      sent.push({ request, options });
      return Promise.resolve({ status: 200, body: { success: true, nonce: 'n' } });
    },
  };

  test('has one typed call for each route', async () => {
    const client = makeClient(agentRoutes, transport);
    expect(Object.keys(client)).toEqual(Object.keys(agentRoutes));
    const answer: EchoRsp = await client.echo({ nonce: 'n' }, { deadlineMs: 50 });
    expect(answer.nonce).toBe('n');
    expect(sent).toEqual([
      {
        request: { method: 'POST', path: '/host/echo', fields: { nonce: 'n' } },
        options: { deadlineMs: 50 },
      },
    ]);
  });

  test('a request without its path part is refused before it is sent', async () => {
    const client = makeClient({ vmDomain }, transport);
    await expect(client.vmDomain({ vmUuid: '' }, { deadlineMs: 50 })).rejects.toThrow('vmUuid');
  });

  test('an item of a stream is checked as an answer is', () => {
    const { watch } = agentStreams;
    expect(readItem(watch, { kind: 'heartbeat', sequence: 1 })).toMatchObject({ sequence: 1 });
    for (const bad of [{ kind: 'x', sequence: 1 }, 'x', null])
      expect(caught(() => readItem(watch, bad))).toBeInstanceOf(BadAnswerError);
  });
});

test('every route is stated once: names fit, paths differ, somebody may call it', () => {
  const all = Object.entries({ ...agentRoutes, ...agentStreams });
  for (const [name, spec] of all) {
    expect(spec.name).toBe(name);
    expect(spec.roles).toContain('server');
    expect(Object.isFrozen(spec)).toBe(true);
  }
  expect(new Set(all.map(([, spec]) => `${spec.method} ${spec.path}`)).size).toBe(all.length);
  expect(all.filter(([, spec]) => spec.roles.length > 1).map(([name]) => name)).toEqual([
    'echo',
    'scanHost',
  ]);
});

test('ok is success with its fields', () => {
  expect(ok(PingRsp, { bootId: 'b', protocolVersion: 1 })).toMatchObject({
    success: true,
    bootId: 'b',
  });
  expect(route({ ...echo }).kind).toBe('request');
});
