import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { agentRoutes, BadAnswerError, type CallOptions, type RawAnswer } from '@fenceline/protocol';
import { getMetadataStorage } from 'class-validator';
import { Certificates } from './certificates.js';
import { failureOf, Rig } from './rig.js';
import { agentSamples } from './samples.js';

type RouteName = keyof typeof agentRoutes;
const names = Object.keys(agentRoutes) as RouteName[];
const options: CallOptions = { deadlineMs: 5_000 };

const certificates = new Certificates();
let rig: Rig;

beforeAll(async () => {
  rig = await Rig.start({ certificates });
});

afterAll(async () => {
  await rig.server.stop();
});

function call(name: RouteName, request: object, client = rig.client()): Promise<object> {
  // The samples are typed against the routes; here the names vary.
  return (client[name] as (fields: object, how: CallOptions) => Promise<object>)(request, options);
}

/** Every field that has a rule. */
function fieldsOf(type: new () => object): string[] {
  const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  return [...new Set(rules.map(({ propertyName }) => propertyName))];
}

describe.each(names)('contract of %s', (name) => {
  const { request, response, bad, wrongRole } = agentSamples[name];
  const route = agentRoutes[name];

  test('the sample sets every field', () => {
    for (const [type, sample] of [
      [route.request, request],
      [route.response, response],
    ] as const) {
      const missing = fieldsOf(type).filter((field) => Reflect.get(sample, field) === undefined);
      expect(missing).toEqual([]);
    }
  });

  test('request and response arrive field by field', async () => {
    const answer = await call(name, request);
    expect(rig.got(name)).toBeInstanceOf(route.request);
    expect({ ...(rig.got(name) as object) }).toEqual(request);
    expect(answer).toBeInstanceOf(route.response);
    expect({ ...answer }).toEqual(response);
  });

  test('bad input is 400 and names the field, never the value', async () => {
    for (const { fields, names: field } of bad) {
      const raw = await send(name, Object.assign({}, request, fields));
      expect(raw).toMatchObject({ status: 400, body: { error: { code: 'BAD_INPUT' } } });
      expect(JSON.stringify(raw.body)).toContain(`${field}: `);
      expect(JSON.stringify(raw.body)).not.toMatch(/ProxyCommand|\$\(id\)|x{20}/);
    }
  });

  test('a body that is no object is 400', async () => {
    if (route.method === 'GET') return;
    const raw = await rig
      .transport()
      .send({ method: route.method, path: route.path, fields: ['canary'] }, options);
    expect(raw).toMatchObject({ status: 400, body: { error: { code: 'BAD_INPUT' } } });
    expect(JSON.stringify(raw.body)).not.toContain('canary');
  });

  test(`${wrongRole} may not call it`, async () => {
    const other = await Rig.start({ certificates, as: wrongRole });
    try {
      const error = await failureOf(call(name, request, other.client()));
      expect(error).toMatchObject({ name: 'RemoteError', status: 403, code: 'FORBIDDEN' });
      expect(other.got(name)).toBeUndefined();
    } finally {
      await other.server.stop();
    }
  });
});

/** As a client would send it, but a path part may hold anything. */
function send(name: RouteName, fields: object): Promise<RawAnswer> {
  const { method, path } = agentRoutes[name];
  const filled = path.replace(/:(\w+)/, (_, part: string) =>
    encodeURIComponent(String(Reflect.get(fields, part))),
  );
  return rig.transport().send({ method, path: filled, fields }, options);
}

test('a sibling may call exactly what a sibling needs', async () => {
  const client = rig.client('sibling');
  const allowed: RouteName[] = [];
  for (const name of names) {
    const refused = await call(name, agentSamples[name].request, client).then(
      () => false,
      (error: { status?: number }) => error.status === 403,
    );
    if (!refused) allowed.push(name);
  }
  expect(allowed).toEqual(['echo', 'scanHost']);
});

test('F15: an agent that does not know the route', async () => {
  const raw = await rig
    .transport()
    .send({ method: 'POST', path: '/ha/fence/new', fields: {} }, options);
  expect(raw).toMatchObject({ status: 404, body: { error: { code: 'NO_SUCH_ROUTE' } } });
});

test('an answer of another program is not believed', async () => {
  const other = await Rig.start({
    certificates,
    server: { mount: (app) => app.use((_request, response) => void response.send('<html>')) },
  });
  try {
    expect(await failureOf(other.client().ping({}, options))).toBeInstanceOf(BadAnswerError);
  } finally {
    await other.server.stop();
  }
});
