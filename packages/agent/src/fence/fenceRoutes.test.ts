import { expect, test } from '@jest/globals';
import { recordingLogger } from '@fenceline/common/testing';
import { FakeHost, HOST } from '../../test/fakeHost.js';
import { composeAgent, type AgentCore } from '../index.js';

const SUSPECT = HOST.replace(/1$/, '2');
const TOKENS = ['ab'.repeat(16), 'cd'.repeat(16)];

async function call(agent: AgentCore, path: string, fields: object): Promise<object> {
  const caller = { role: 'server' as const, name: 'test' };
  const { signal } = new AbortController();
  const done = await agent.dispatcher.handle({ method: 'POST', path, fields, caller, signal });
  if (done.kind !== 'answer') throw new Error('a stream came');
  return done.answer.body as object;
}

test('F27, F29a: lines and tokens by the routes, told in the heartbeats, never a token in a log', async () => {
  const host = new FakeHost();
  const { log, lines } = recordingLogger();
  const agent = composeAgent({ ...host.ports(), log });
  await agent.start();
  const neighbours = [
    { hostUuid: SUSPECT, addresses: ['10.77.1.12'], hostKeys: ['ssh-ed25519 AAAA'] },
  ];
  expect(await call(agent, '/host/fence/lines', { neighbours })).toMatchObject({
    lines: [{ hostUuid: SUSPECT, state: 'connecting', forMs: 0 }],
  });
  const deposit = { tokens: TOKENS, replace: true };
  expect(await call(agent, '/host/fence/tokens', deposit)).toMatchObject({ held: 2 });
  const tooMany = Array.from({ length: 63 }, (_, n) => n.toString(16).padStart(32, '0'));
  expect(
    await call(agent, '/host/fence/tokens', { tokens: tooMany, replace: false }),
  ).toMatchObject({
    error: { code: 'REFUSED' },
  });
  await host.clock.advance(2_000);
  const stop = new AbortController();
  for await (const item of agent.watch({}, stop.signal)) {
    expect(item).toMatchObject({
      orderTokens: 2,
      fenceLines: [{ hostUuid: SUSPECT, state: 'broken', why: expect.stringContaining('login') }],
    });
    stop.abort();
  }
  await host.clock.settle(agent.stop());
  for (const token of TOKENS) expect(JSON.stringify(lines)).not.toContain(token);
});
