import { mkdtempSync, rmSync } from 'node:fs';
import { request, Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readTlsFiles, systemClock } from '@fenceline/common';
import { recordingLogger } from '@fenceline/common/testing';
import { makeAuthority } from '../../test/certificates.js';
import { FakeHost, HOST } from '../../test/fakeHost.js';
import { anyBody, brokenBodies, CANARY, goodBody } from '../../test/hostileBodies.js';
import { startAgentServer } from '../http/adapters/agentServer.js';
import { composeAgent, type AgentCore } from '../index.js';

const ONE = '/ha/fence/vm/from/peer';
const MANY = '/ha/fence/vms/from/peer';
const SEED = 20_260;

/** An agent whose logins are counted, and refused at once. */
async function countingAgent() {
  const host = new FakeHost();
  await host.state.adopt(HOST, []);
  const { log, lines } = recordingLogger();
  const seen = { dials: 0, lines };
  const dial = async () => {
    seen.dials += 1;
    return { ok: false as const, failure: 'refused' as const, stages: [] };
  };
  const core = composeAgent({ ...host.ports(), log, clock: systemClock, dialer: { dial } });
  await core.start();
  return { core, seen };
}

async function ask(
  core: AgentCore,
  path: string,
  fields: unknown,
): Promise<{ status: number; body: unknown }> {
  const caller = { role: 'server', name: 'fuzz' } as const;
  const { signal } = new AbortController();
  const done = await core.dispatcher.handle({ method: 'POST', path, fields, caller, signal });
  if (done.kind !== 'answer') throw new Error('a stream came');
  return done.answer;
}

const wire = (body: unknown): unknown => JSON.parse(JSON.stringify(body) ?? 'null');

/** Moves the VM of a body into the list of the other route. */
const asMany = (body: unknown): unknown => {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const { vmUuid, fenceEpoch, disks, ...target } = body as Record<string, unknown>;
  return { ...target, vms: [{ vmUuid, fenceEpoch, disks }] };
};

test('F18: the body from which the broken ones are made is a good one', async () => {
  const { core, seen } = await countingAgent();
  expect(await ask(core, ONE, wire(goodBody()))).toMatchObject({ status: 200 });
  expect(await ask(core, MANY, wire(asMany(goodBody())))).toMatchObject({ status: 200 });
  expect(seen.dials).toBe(2);
  await core.stop();
});

test('F18: 100,000 malformed bodies: each refused by name, never with its value, nobody dialled', async () => {
  const { core, seen } = await countingAgent();
  const wrong: unknown[] = [];
  let leaks = 0;
  let i = 0;
  for (const made of brokenBodies(100_000, SEED)) {
    i += 1;
    const body = wire(made);
    const [path, sent] = i % 4 === 0 ? [MANY, asMany(body)] : [ONE, body];
    const { status, body: answer } = await ask(core, path, sent);
    if (status !== 400 && wrong.length < 5) wrong.push({ i, status, sent });
    if (JSON.stringify(answer).includes(CANARY)) leaks += 1;
  }
  expect({ wrong, leaks, dials: seen.dials }).toEqual({ wrong: [], leaks: 0, dials: 0 });
  // No defect of ours was hit, and no attacker fills the log. What the agent says of its own is not his.
  expect(seen.lines.filter(({ sentence }) => sentence !== 'the libvirt hook works')).toEqual([]);
  await core.stop();
}, 180_000);

test('F18: any mixture at all: no 5xx, no throw, a login only where the body was accepted', async () => {
  const { core, seen } = await countingAgent();
  await fc.assert(
    fc.asyncProperty(anyBody, async (made) => {
      const before = seen.dials;
      const { status } = await ask(core, ONE, wire(made));
      expect([200, 400]).toContain(status);
      expect(seen.dials - before).toBe(status === 200 ? 1 : 0);
    }),
    { seed: SEED, numRuns: 2_000 },
  );
  await core.stop();
}, 120_000);

test('F18: over the real HTTPS server, bytes that are no body at all as well', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fenceline-fuzz-'));
  const authority = makeAuthority(dir);
  const { core, seen } = await countingAgent();
  const { log } = recordingLogger();
  const server = await startAgentServer({
    ...{ listen: ['127.0.0.1'], port: 0, dispatcher: core.dispatcher, log },
    tls: readTlsFiles(authority.issue('h1', 'sibling')),
  });
  const agent = new Agent({
    ...readTlsFiles(authority.issue('server', 'server')),
    keepAlive: true,
    maxSockets: 4,
  });
  const post = (body: Uint8Array, type = 'application/json'): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': type, 'content-length': body.length };
      const at = {
        agent,
        headers,
        host: '127.0.0.1',
        port: server.port,
        path: ONE,
        method: 'POST',
      };
      const sent = request(at, (answer) =>
        answer.resume().on('end', () => resolve(answer.statusCode ?? 0)),
      );
      sent.on('error', reject).end(body);
    });
  const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value) ?? '');
  const good = text(goodBody());
  const torn = fc
    .tuple(fc.nat(good.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }))
    .map(([at, bytes]) => {
      const copy = Uint8Array.from(good.subarray(0, at));
      return Buffer.concat([copy, bytes]);
    });
  const bodies = [
    ...[...brokenBodies(1_500, SEED + 1)].map(text),
    ...fc.sample(torn, { seed: SEED, numRuns: 300 }),
    ...fc.sample(fc.uint8Array({ maxLength: 64 }), { seed: SEED, numRuns: 200 }),
    text({ ...goodBody(), taskId: 'x'.repeat(1_100_000) }),
    Buffer.from('['.repeat(200_000)),
    Buffer.from(`{"disks":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`),
    Buffer.from('{"__proto__":{"vmUuid":"x"},"constructor":{"prototype":{}}}'),
  ];
  const statuses = await Promise.all(bodies.map((body) => post(body)));
  statuses.push(await post(good, 'text/plain'));
  const odd = statuses.flatMap((status, i) => (status >= 400 && status < 500 ? [] : [[i, status]]));
  expect(odd).toEqual([]);
  expect(seen.dials).toBe(0);
  expect(await post(good)).toBe(200);
  agent.destroy();
  await server.stop();
  await core.stop();
  rmSync(dir, { recursive: true, force: true });
}, 180_000);
