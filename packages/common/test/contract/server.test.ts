import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../src/index.js';
import { axiosTransport } from '../../src/index.js';
import { Certificates } from './certificates.js';
import { failureOf, Rig } from './rig.js';

const certificates = new Certificates();
let rig: Rig;
const options = { deadlineMs: 5_000 };
const ping = { method: 'POST' as const, path: '/host/ping', fields: {} };

beforeAll(async () => {
  rig = await Rig.start({ certificates });
});

afterAll(async () => {
  await rig.server.stop();
});

interface Raw {
  body: string;
  headers?: Record<string, string>;
}

/** A call as no client of ours would make it. */
function rawCall({ body, headers = {} }: Raw): Promise<{ status: number; body: string }> {
  const tls = certificates.issue({ unit: 'server', name: 's1' });
  const all = { 'content-type': 'application/json', ...headers };
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      {
        host: '127.0.0.1',
        port: rig.server.port,
        path: '/host/echo',
        method: 'POST',
        ...tls,
        headers: all,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

describe('who may speak at all', () => {
  // The alert and the reset behind it race on their way to the client.
  const failure: unknown = expect.stringMatching(/^(?:tls|reset)$/);
  const refused = { name: 'TransportError', failure };

  test('no client certificate: refused before a byte is read', async () => {
    const { ca } = certificates.issue({ unit: 'server', name: 's1' });
    const baseUrl = `https://127.0.0.1:${rig.server.port}`;
    const error = await failureOf(axiosTransport({ baseUrl, tls: { ca } }).send(ping, options));
    expect(error).toMatchObject(refused);
  });

  test('a certificate of a foreign authority: refused', async () => {
    const tls = certificates.issue({ unit: 'server', name: 's1', authority: 'foreign' });
    const baseUrl = `https://127.0.0.1:${rig.server.port}`;
    const error = await failureOf(axiosTransport({ baseUrl, tls }).send(ping, options));
    expect(error).toMatchObject(refused);
  });

  test.each(['', 'agent', 'admin', 'Server'])('the role %j is none: 401', async (unit) => {
    const raw = await rig.transport(unit).send(ping, options);
    expect(raw).toMatchObject({ status: 401, body: { error: { code: 'UNAUTHENTICATED' } } });
  });
});

describe('bodies', () => {
  test('1 MiB is read, more is 413', async () => {
    const send = (chars: number) =>
      rig
        .transport()
        .send({ ...ping, path: '/host/ping', fields: { pad: 'x'.repeat(chars) } }, options);
    const overhead = JSON.stringify({ pad: '' }).length;
    expect(await send(1_048_576 - overhead)).toMatchObject({ status: 200 });
    expect(await send(1_048_577 - overhead)).toMatchObject({
      status: 413,
      body: { success: false, error: { code: 'TOO_LARGE' } },
    });
  });

  test('more than 1 MiB without a length is 413 too', async () => {
    const body = `{"nonce":"${'x'.repeat(1_100_000)}"}`;
    const answer = await rawCall({ body, headers: { 'transfer-encoding': 'chunked' } });
    expect(answer.status).toBe(413);
  });

  test.each<[string, Raw]>([
    ['no JSON', { body: '{"nonce": canary}' }],
    ['half of it', { body: '{"nonce": "canary"' }],
    ['a scalar', { body: '"canary"' }],
    [
      'another type',
      { body: 'nonce=canary', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    ],
    ['no type', { body: '{"nonce":"canary"}', headers: { 'content-type': 'text/plain' } }],
    ['an unknown encoding', { body: 'canary', headers: { 'content-encoding': 'br9' } }],
    ['a broken encoding', { body: 'canary', headers: { 'content-encoding': 'gzip' } }],
    [
      'an unknown charset',
      {
        body: '{"nonce":"canary"}',
        headers: { 'content-type': 'application/json; charset=ebcdic' },
      },
    ],
  ])('%s is 400, and is not quoted', async (_, raw) => {
    const answer = await rawCall(raw);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ success: false, error: { code: 'BAD_INPUT' } });
    expect(answer.body).not.toContain('canary');
  });

  test('an answer says nothing about the program that serves it', async () => {
    const tls = certificates.issue({ unit: 'server', name: 's1' });
    const headers = await new Promise<object>((resolve, reject) => {
      const target = { host: '127.0.0.1', port: rig.server.port, path: '/', ...tls };
      httpsRequest(target, (response) => {
        response.resume();
        resolve(response.headers);
      })
        .on('error', reject)
        .end();
    });
    expect(Object.keys(headers)).not.toContain('x-powered-by');
  });
});

describe('defects of ours', () => {
  test('an answer that is no JSON is INTERNAL, with the reason in the log alone', async () => {
    const odd = await Rig.start({
      certificates,
      server: {
        dispatcher: {
          handle: async () => ({ kind: 'answer', answer: { status: 200, body: { big: 5n } } }),
        },
      },
    });
    const raw = await odd.transport().send(ping, options);
    expect(raw).toMatchObject({ status: 500, body: { error: { code: 'INTERNAL' } } });
    expect(JSON.stringify(raw.body)).not.toContain('BigInt');
    expect(odd.logged).toEqual(['a call failed unexpectedly']);
    await odd.server.stop();
  });

  test('so is an identify that fails: nobody is let in', async () => {
    const identify = () => Promise.reject(new Error('canary'));
    const odd = await Rig.start({ certificates, server: { identify } });
    const raw = await odd.transport().send(ping, options);
    expect(raw).toMatchObject({ status: 500, body: { error: { code: 'INTERNAL' } } });
    expect(JSON.stringify(raw.body)).not.toContain('canary');
    expect(odd.got('ping')).toBeUndefined();
    await odd.server.stop();
  });

  test('a port in use is told as such', async () => {
    const listen = { address: '127.0.0.1', port: rig.server.port };
    const error = await failureOf(Rig.start({ certificates, server: { listen } }));
    expect(error).toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('stop', () => {
  /** A server whose calls end when `release` is called, whatever the signal says. */
  async function holding() {
    let release = (): void => undefined;
    let entered = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const inside = new Promise<void>((resolve) => (entered = resolve));
    const seen: { signal?: AbortSignal } = {};
    const subject = await Rig.start({
      certificates,
      hold: async (_, { signal }) => {
        seen.signal = signal;
        entered();
        await held;
      },
    });
    return { subject, release, inside, seen };
  }

  test('calls in flight hear of it and may end; new ones get 503; then the port is free', async () => {
    const { subject, release, inside, seen } = await holding();
    const first = subject.client().ping({}, options);
    await inside;
    const stopping = subject.server.stop();
    expect(seen.signal?.aborted).toBe(true);
    const late = await subject.transport().send(ping, options);
    expect(late).toMatchObject({ status: 503, body: { error: { code: 'STOPPING' } } });
    release();
    expect(await first).toMatchObject({ success: true });
    await stopping;
    const gone = await failureOf(subject.transport().send(ping, options));
    expect(gone).toMatchObject({ failure: 'refused' });
    await subject.server.stop();
  });

  test('a call that never ends is cut', async () => {
    const { subject, inside } = await holding();
    const first = failureOf(subject.client().ping({}, { deadlineMs: 10_000 }));
    await inside;
    const beganMs = systemClock.monotonicMs();
    await subject.server.stop();
    expect(systemClock.monotonicMs() - beganMs).toBeLessThan(3_000);
    expect(await first).toMatchObject({ name: 'TransportError', failure: 'reset' });
  });

  test('a caller that is gone is told to the handler', async () => {
    const { subject, inside, seen, release } = await holding();
    const call = failureOf(subject.client().ping({}, { deadlineMs: 300 }));
    await inside;
    expect(await call).toMatchObject({ failure: 'timeout' });
    await new Promise((resolve) => seen.signal?.addEventListener('abort', resolve));
    expect(seen.signal?.reason).toMatchObject({ message: 'the caller is gone' });
    release();
    await subject.server.stop();
  });

  test('a connection that never says a word does not hold it up', async () => {
    const subject = await Rig.start({ certificates });
    const silent = connect(subject.server.port, '127.0.0.1');
    silent.on('error', () => undefined);
    await new Promise((resolve) => silent.once('connect', resolve));
    const beganMs = systemClock.monotonicMs();
    await subject.server.stop();
    expect(systemClock.monotonicMs() - beganMs).toBeLessThan(2_000);
    silent.destroy();
  });
});
