import { describe, expect, test } from '@jest/globals';
import {
  agentRoutes,
  agentStreams,
  DomainError,
  EchoRsp,
  Nothing,
  ok,
  route,
  VmDomainRsp,
  WatchItem,
} from '@fenceline/protocol';
import {
  envelopeError,
  makeDispatcher,
  problemError,
  type CallContext,
  type Dispatched,
  type IncomingCall,
} from './dispatch.js';
import { makeRouter } from './router.js';
import { recordingLogger } from './testing/index.js';

const A = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
const { echo, vmDomain, ping } = agentRoutes;
const { watch } = agentStreams;
const table = { echo, vmDomain, watch, ping };

function makeSubject(fail?: () => never) {
  const { log, lines } = recordingLogger();
  const seen: { request: unknown; context: CallContext }[] = [];
  const dispatcher = makeDispatcher(
    table,
    {
      echo: async (request, context) => {
        fail?.();
        seen.push({ request, context });
        return ok(EchoRsp, { nonce: request.nonce });
      },
      vmDomain: async (request) => ok(VmDomainRsp, { domainXml: request.vmUuid }),
      watch: async function* (request) {
        yield Object.assign(new WatchItem(), { sequence: request.heartbeatEveryMs ?? 0 });
      },
      ping: () => {
        throw new Error('before any await');
      },
    },
    { log, errorBody: envelopeError },
  );
  return { dispatcher, lines, seen };
}

function call(fields: Partial<IncomingCall>): IncomingCall {
  return {
    method: 'POST',
    path: '/host/echo',
    fields: { nonce: 'n' },
    caller: { role: 'server', name: 's1' },
    signal: new AbortController().signal,
    ...fields,
  };
}

async function answerOf(done: Promise<Dispatched>) {
  const dispatched = await done;
  if (dispatched.kind !== 'answer') throw new Error('a stream');
  return dispatched.answer as { status: number; body: Record<string, unknown> };
}

describe('dispatcher', () => {
  test('hands a validated request and its caller to the handler', async () => {
    const { dispatcher, seen } = makeSubject();
    const answer = await answerOf(dispatcher.handle(call({ fields: { nonce: 'x', more: 1 } })));
    expect(answer).toEqual({ status: 200, body: { success: true, nonce: 'x' } });
    expect(seen[0]?.request).toEqual({ nonce: 'x' });
    expect(seen[0]?.context.caller).toEqual({ role: 'server', name: 's1' });
  });

  test('a part of the path wins over a field of its name', async () => {
    const { dispatcher } = makeSubject();
    const path = `/vm/${A}/domain`;
    const fields = { vmUuid: 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb' };
    const answer = await answerOf(dispatcher.handle(call({ method: 'GET', path, fields })));
    expect(answer.body).toMatchObject({ domainXml: A });
  });

  test.each<[Partial<IncomingCall>, number, string, string]>([
    [{ path: '/host/none' }, 404, 'NO_SUCH_ROUTE', 'an unknown path'],
    [{ path: '/host/echo/' }, 404, 'NO_SUCH_ROUTE', 'a path is what it is'],
    [{ method: 'GET' }, 404, 'NO_SUCH_ROUTE', 'another method'],
    [{ path: '/vm/%E0%A4%A/domain', method: 'GET' }, 404, 'NO_SUCH_ROUTE', 'a broken escape'],
    [{ path: '/vm//domain', method: 'GET' }, 404, 'NO_SUCH_ROUTE', 'an empty part'],
    [{ path: '/vm/..%2fx/domain', method: 'GET', fields: {} }, 400, 'BAD_INPUT', 'a hidden slash'],
    [{ caller: { role: 'viewer', name: 'v' } }, 403, 'FORBIDDEN', 'a role that may not'],
    [{ fields: { nonce: 7 } }, 400, 'BAD_INPUT', 'a broken rule'],
    [{ fields: [{ nonce: 'n' }] }, 400, 'BAD_INPUT', 'a list is no body'],
    [{ fields: 'nonce' }, 400, 'BAD_INPUT', 'nor is a text'],
    [{ fields: null }, 400, 'BAD_INPUT', 'nor is null'],
  ])('%j gives %i %s: %s', async (fields, status, code) => {
    const { dispatcher, seen, lines } = makeSubject();
    const answer = await answerOf(dispatcher.handle(call(fields)));
    expect(answer).toMatchObject({ status, body: { success: false, error: { code } } });
    expect(seen).toEqual([]);
    expect(lines).toEqual([]);
  });

  test('who may not call learns nothing about the body', async () => {
    const { dispatcher } = makeSubject();
    const caller = { role: 'sibling' as const, name: 'h2' };
    const path = `/vm/not-a-uuid/domain`;
    const answer = await answerOf(dispatcher.handle(call({ method: 'GET', path, caller })));
    expect(answer.status).toBe(403);
  });

  test('400 names field and rule, never the value', async () => {
    const { dispatcher } = makeSubject();
    const fields = { nonce: { canary: 'canary-1' } };
    const { body } = await answerOf(dispatcher.handle(call({ fields })));
    expect(JSON.stringify(body)).toContain('nonce: nonce must be');
    expect(JSON.stringify(body)).not.toContain('canary-1');
  });

  test('an error that is a fact travels as it stands', async () => {
    const { dispatcher, lines } = makeSubject(() => {
      throw new DomainError('STALE_EPOCH', 'epoch 3 is closed', { epoch: 3 });
    });
    expect(await answerOf(dispatcher.handle(call({})))).toEqual({
      status: 409,
      body: {
        success: false,
        error: { code: 'STALE_EPOCH', message: 'epoch 3 is closed', facts: { epoch: 3 } },
      },
    });
    expect(lines).toEqual([]);
  });

  test.each<[Partial<IncomingCall>, string]>([
    [{}, 'thrown in an async handler'],
    [{ path: '/host/ping' }, 'thrown before any await'],
  ])('anything else is INTERNAL: the details are in the log alone (%#)', async (fields) => {
    const { dispatcher, lines } = makeSubject(() => {
      throw new Error('canary: /etc/secret');
    });
    const { status, body } = await answerOf(dispatcher.handle(call(fields)));
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toMatch(/canary|before any await|\.ts/);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.facts['error']).toMatch(/canary|before any await/);
  });

  test('a stream gives its items; its query is read as numbers', async () => {
    const { dispatcher } = makeSubject();
    const fields = { heartbeatEveryMs: '250' };
    const done = await dispatcher.handle(call({ method: 'GET', path: '/host/watch', fields }));
    if (done.kind !== 'stream') throw new Error('no stream');
    const items: object[] = [];
    for await (const item of done.items) items.push(item);
    expect(items).toMatchObject([{ kind: 'heartbeat', sequence: 250 }]);
  });

  test('a stream that may not be opened is refused with a status', async () => {
    const { dispatcher } = makeSubject();
    const path = '/host/watch';
    const caller = { role: 'sibling' as const, name: 'h2' };
    const refused = await answerOf(dispatcher.handle(call({ method: 'GET', path, caller })));
    expect(refused.status).toBe(403);
    const fields = { heartbeatEveryMs: '5' };
    const bad = await answerOf(dispatcher.handle(call({ method: 'GET', path, fields })));
    expect(bad.status).toBe(400);
  });
});

test('problem details carry a stable code (RFC 9457)', () => {
  expect(problemError(new DomainError('CONFLICT', 'a host of that name exists'))).toEqual({
    type: 'urn:fenceline:error:CONFLICT',
    title: 'CONFLICT',
    status: 409,
    code: 'CONFLICT',
    detail: 'a host of that name exists',
    facts: {},
  });
});

describe('router', () => {
  const at = (path: string) =>
    route({ ...echo, method: 'GET', path, request: Nothing, name: path, response: EchoRsp });
  const router = makeRouter(
    ['/vms/:vm', '/vms/all', '/:a/x/y', '/vms/:vm/:part', '/vms/:vm/disks'].map((path) => ({
      route: at(path),
      value: path,
    })),
  );

  test.each<[string, string | undefined, Record<string, string>, string]>([
    ['/vms/all', '/vms/all', {}, 'a fixed part wins over a :param'],
    ['/vms/web1', '/vms/:vm', { vm: 'web1' }, 'a :param'],
    ['/vms/web1/disks', '/vms/:vm/disks', { vm: 'web1' }, 'fixed wins at the end too'],
    ['/vms/x/y', '/vms/:vm/:part', { vm: 'x', part: 'y' }, 'the first part decides first'],
    ['/other/x/y', '/:a/x/y', { a: 'other' }, 'only that one fits'],
    ['/vms/a%2Fb', '/vms/:vm', { vm: 'a/b' }, 'parts are decoded'],
    ['/vms/', undefined, {}, 'a part is never empty'],
    ['/VMS/all', undefined, {}, 'paths have one spelling'],
  ])('%s goes to %s: %s', (path, expected, params) => {
    const found = router('GET', path);
    expect(found?.value).toBe(expected);
    if (expected !== undefined) expect(found?.params).toEqual(params);
  });
});
