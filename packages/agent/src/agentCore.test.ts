import { describe, expect, test } from '@jest/globals';
import type { Dispatched } from '@fenceline/common';
import { recordingLogger } from '@fenceline/common/testing';
import { agentRoutes, type WatchItem } from '@fenceline/protocol';
import { domainXml, FakeHost, HOST, VM } from '../test/fakeHost.js';
import { composeAgent, type AgentCore, type DomainEvent } from './index.js';

interface Call {
  method?: string;
  fields?: object;
  role?: 'server' | 'sibling';
}

async function call(agent: AgentCore, path: string, options: Call = {}): Promise<Dispatched> {
  const { method = 'POST', fields = {}, role = 'server' } = options;
  const caller = { role, name: 'test' };
  const { signal } = new AbortController();
  return agent.dispatcher.handle({ method, path, fields, caller, signal });
}

/** Body of an answer; with a failure its code. */
async function answer(agent: AgentCore, path: string, options: Call = {}): Promise<unknown> {
  const done = await call(agent, path, options);
  if (done.kind !== 'answer') throw new Error('a stream came');
  const body = done.answer.body as { error?: { code: string } };
  return done.answer.status === 200 ? body : `${done.answer.status} ${body.error?.code}`;
}

const connect = { hostUuid: HOST, serverUuid: HOST, serverVersion: '1', siblings: [], runs: [] };

async function startedAgent(host = new FakeHost()): Promise<AgentCore> {
  const agent = composeAgent(host.ports());
  await agent.start();
  return agent;
}

test('before its start and after its stop the agent answers 503', async () => {
  const agent = composeAgent(new FakeHost().ports());
  expect(await answer(agent, '/host/ping')).toBe('503 STOPPING');
  await agent.start();
  expect(await answer(agent, '/host/ping')).toMatchObject({ success: true, bootId: 'boot-1' });
  await agent.stop();
  expect(await answer(agent, '/host/ping')).toBe('503 STOPPING');
});

describe('roles: a sibling may do what a sibling needs, and no more', () => {
  test.each(Object.values(agentRoutes).map((route) => [route.method, route.path] as const))(
    '%s %s',
    async (method, path) => {
      const agent = await startedAgent();
      const open = path === '/host/echo' || path === '/ha/scanhost';
      const got = await answer(agent, path.replace(':vmUuid', VM), { method, role: 'sibling' });
      if (open) expect(got).not.toBe('403 FORBIDDEN');
      else expect(got).toBe('403 FORBIDDEN');
    },
  );
});

test('C1: a host keeps the uuid of its first connect and refuses another', async () => {
  const host = new FakeHost();
  const agent = await startedAgent(host);
  const sibling = {
    hostUuid: HOST.replace(/1$/, '2'),
    addresses: ['10.77.1.12'],
    fencePublicKey: `ssh-ed25519 ${'A'.repeat(68)}`,
  };
  const own = { ...sibling, hostUuid: HOST.replaceAll('-', '') };
  const body = { ...connect, siblings: [sibling, own] };
  expect(await answer(agent, '/host/connect', { fields: body })).toMatchObject({
    success: true,
    agentInstance: agent.agentInstance,
    seeded: true,
    addresses: ['10.77.1.11'],
  });
  expect(host.trace).toEqual([`install ${sibling.hostUuid}`]);
  const other = { ...connect, hostUuid: sibling.hostUuid };
  expect(await answer(agent, '/host/connect', { fields: other })).toBe('409 CONFLICT');
  expect(await answer(agent, '/host/echo', { fields: { nonce: 'n' } })).toMatchObject({
    nonce: 'n',
    hostUuid: HOST,
  });
});

test('a VM from start to destroy, by the routes', async () => {
  const host = new FakeHost();
  const agent = await startedAgent(host);
  await answer(agent, '/host/connect', { fields: connect });
  const start = {
    vmUuid: VM,
    epoch: 3,
    bootId: 'boot-1',
    domainXml: domainXml(),
    closedRuns: [],
  };
  expect(await answer(agent, '/vm/start', { fields: start })).toMatchObject({
    success: true,
    state: 'Running',
    epoch: 3,
  });
  expect(await answer(agent, '/vm/sync')).toMatchObject({
    vms: [{ vmUuid: VM, state: 'Running', epoch: 3, hasProcess: true, knownToLibvirt: true }],
    libvirtAnswered: true,
    unattributed: 0,
  });
  expect(await answer(agent, '/vm/status', { fields: { vmUuid: VM } })).toMatchObject({
    vm: { state: 'Running' },
    highestBegan: 3,
    barrierEpoch: null,
  });
  const destroy = { vmUuid: VM, fenceEpoch: 3, disks: [] };
  // This host has no fence program: no verdict, and the barrier holds all the same.
  expect(await answer(agent, '/vm/destroy', { fields: destroy })).toMatchObject({
    success: false,
    highestBegan: 3,
    beganKnown: true,
  });
  expect(await answer(agent, '/vm/start', { fields: start })).toBe('409 STALE_EPOCH');
});

test('F31: one search for a VM in the log tells what was asked and what came of it', async () => {
  const { log, lines } = recordingLogger();
  const host = new FakeHost();
  await host.state.adopt(HOST, []);
  const agent = composeAgent({ ...host.ports(), log });
  await agent.start();
  const start = { vmUuid: VM, epoch: 3, bootId: 'boot-1', domainXml: domainXml() };
  const fields = { ...start, closedRuns: [], taskId: 'task-7' };
  await answer(agent, '/vm/start', { fields });
  await answer(agent, '/vm/start', { fields: { ...fields, epoch: 2 } });
  await answer(agent, '/vm/destroy', { fields: { vmUuid: VM, fenceEpoch: 3, disks: [] } });
  const told = lines.filter(({ sentence }) => sentence.includes(`vm=${VM}]`));
  expect(told.map(({ sentence }) => sentence.replace(`vm=${VM}`, 'vm'))).toEqual([
    '[VM start vm] begun',
    '[VM start vm] ended',
    '[VM start vm] begun',
    '[VM start vm] refused',
    '[VM destroy vm] begun',
    '[VM destroy vm] ended',
  ]);
  expect(told[1]?.facts).toMatchObject({ taskId: 'task-7', epoch: 3, state: 'Running' });
  expect(told[3]?.facts).toMatchObject({ code: 'STALE_EPOCH' });
});

test('bad bodies are refused before anything happens, and values are not echoed', async () => {
  const agent = await startedAgent();
  const done = await call(agent, '/vm/start', { fields: { vmUuid: 'secret;rm', epoch: -1 } });
  expect(JSON.stringify(done)).toContain('400');
  expect(JSON.stringify(done)).not.toContain('secret;rm');
});

test('F18: a fence of this host itself is refused', async () => {
  const agent = await startedAgent();
  await answer(agent, '/host/connect', { fields: connect });
  const fence = {
    vmUuid: VM,
    fenceEpoch: 3,
    disks: [],
    targetHostUuid: HOST,
    targetHostIp: '10.77.1.99',
    targetHostKeys: [],
    controls: [],
  };
  const { path } = agentRoutes.fenceVm;
  expect(await answer(agent, path, { fields: fence })).toBe('400 OWN_HOST');
});

test('D1: once the host is known, echo, ping and heartbeat wait for no disk', async () => {
  const host = new FakeHost();
  await host.state.adopt(HOST, []);
  let diskHangs = false;
  const identity = (): ReturnType<typeof host.state.identity> =>
    diskHangs ? new Promise(() => undefined) : host.state.identity();
  const agent = composeAgent({ ...host.ports(), state: { ...host.state, identity } });
  await agent.start();
  await answer(agent, '/host/ping');
  diskHangs = true;
  const known = { success: true, hostUuid: HOST };
  expect(await answer(agent, '/host/ping')).toMatchObject(known);
  expect(await answer(agent, '/host/echo', { fields: { nonce: 'n' } })).toMatchObject(known);
  const [beat] = await take(agent.watch({}, new AbortController().signal), 1);
  expect(beat).toMatchObject({ kind: 'heartbeat', hostUuid: HOST });
});

async function take(items: AsyncIterable<WatchItem>, count: number): Promise<WatchItem[]> {
  const taken: WatchItem[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}

test('D1: the stream begins with a heartbeat, tells what is known, then each change and beat', async () => {
  const host = new FakeHost();
  host.run(VM, 3);
  const agent = await startedAgent(host);
  await host.clock.advance(2_000);
  const { signal } = new AbortController();
  const taking = take(agent.watch({ heartbeatEveryMs: 1_000 }, signal), 5);
  await host.clock.advance(1_500);
  host.killQemus(VM);
  await answer(agent, '/vm/destroy', { fields: { vmUuid: VM, fenceEpoch: 3, disks: [] } });
  await host.clock.advance(1_500);
  const items = await host.clock.settle(taking);
  expect(items.map(({ kind, sequence, vm }) => [sequence, kind, vm?.state])).toEqual([
    [0, 'heartbeat', undefined],
    [1, 'vm', 'Running'],
    [2, 'heartbeat', undefined],
    [3, 'vm', 'Stopped'],
    [4, 'heartbeat', undefined],
  ]);
  expect(items[0]).toMatchObject({ agentInstance: agent.agentInstance, load1: 0.5 });
  await agent.stop();
  expect(host.clock.pending).toBe(0);
});

test('D1: a stop ends the streams', async () => {
  const host = new FakeHost();
  const agent = await startedAgent(host);
  const all = take(agent.watch({}, new AbortController().signal), 1_000);
  await host.clock.advance(1_000);
  await host.clock.settle(agent.stop());
  expect((await all).length).toBeGreaterThan(0);
  expect(host.clock.pending).toBe(0);
});

test('D1: an event leads to a look at once; a stream that breaks is opened again', async () => {
  const host = new FakeHost();
  const opened: string[] = [];
  const broken = async function* (): AsyncGenerator<DomainEvent | undefined> {
    opened.push('first');
    yield undefined;
    throw new Error('libvirtd died');
  };
  const good = async function* (): AsyncGenerator<DomainEvent | undefined> {
    opened.push('second');
    yield undefined;
    await new Promise<void>((resolve) => host.clock.after(3_000, resolve));
    yield { domainName: 'vm-1111', what: 'Started Booted' };
    await new Promise(() => undefined);
  };
  const agent = composeAgent(host.ports([broken(), good()]));
  await agent.start();
  await host.clock.advance(2_500);
  expect(opened).toEqual(['first', 'second']);
  const { signal } = new AbortController();
  const taking = take(agent.watch({ heartbeatEveryMs: 60_000 }, signal), 2);
  host.run(VM, 4);
  await host.clock.advance(1_000);
  expect((await taking)[1]).toMatchObject({ kind: 'vm', vm: { vmUuid: VM, state: 'Running' } });
});

test('D1: what happens while libvirt is silent is still seen in the process table', async () => {
  const host = new FakeHost();
  const agent = await startedAgent(host);
  await host.clock.advance(1_000);
  host.libvirtAnswers = false;
  host.run(VM, 4);
  const { signal } = new AbortController();
  const taking = take(agent.watch({ heartbeatEveryMs: 60_000 }, signal), 2);
  await host.clock.advance(16_000);
  expect((await taking)[1]).toMatchObject({ vm: { epoch: 4, knownToLibvirt: false } });
});
