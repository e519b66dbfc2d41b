import { describe, expect, test } from '@jest/globals';
import { flow } from '@fenceline/common';
import { DomainError, TransportError } from '@fenceline/protocol';
import { CHECK_HOST_CAPACITY_TIMEOUT_MS } from '../../messages/types.js';
import { makeInventoryRepository } from '../inventoryRepository.js';
import { hostUuid, makeWorld, type World } from '../testing/world.js';
import { plainVault } from '../testing/rig.js';
import { makeConnector, type Connector } from './connector.js';
import { noExtensions, type ConnectExtensions, type HookContext } from './extensions.js';
import { connectMessage, reconnectMessage } from './messages.js';

const h1 = hostUuid(1);

interface Rig extends World {
  connector: Connector;
  connected: string[];
  ended: (string | undefined)[];
}

async function rig(extensions: Partial<ConnectExtensions> = {}): Promise<Rig> {
  const world = await makeWorld();
  const connected: string[] = [];
  const ended: (string | undefined)[] = [];
  const connector = makeConnector(
    {
      ...world,
      settings: { current: () => world.settings },
      inventory: makeInventoryRepository(world.store, world.random, plainVault),
      extensions: { ...noExtensions, ...extensions },
    },
    {
      connected: async ({ name }) => void connected.push(name),
      toldSiblings: () => undefined,
      ended: (_, error) => void ended.push(error?.message),
    },
  );
  return { ...world, connector, connected, ended };
}

const connect = ({ bus, clock, settings }: Rig, newAdd = false) =>
  clock.settle(bus.send('ConnectHost', connectMessage(settings, { hostUuid: h1, newAdd })));

const routes = ({ gateway }: Rig) => gateway.calls.map(({ route }) => route);
const statuses = ({ seen }: Rig) =>
  seen.flatMap(({ kind, factsJson }) =>
    kind === 'host.status' ? [(JSON.parse(factsJson) as { to: string }).to] : [],
  );

describe('C2: connect is a flow chain', () => {
  test('C2: checks, Connecting, facts, connect, hooks, extensions, capacity, Connected', async () => {
    const trace: string[] = [];
    const extension = (name: string) => ({
      name,
      run: async ({ host }: HookContext) => {
        const { status } = await world.repository.get(host.uuid);
        trace.push(`${name} ${status} after ${routes(world).at(-1)}`);
      },
    });
    const world = await rig({
      afterConnectHooks: [
        { name: 'hook', createAfterConnectHookFlow: () => flow('hook', [extension('hook')]) },
      ],
      preConnect: [extension('pre')],
      postConnect: [extension('post')],
      afterConnected: [extension('after')],
    });
    await world.addHost(1);
    expect(await connect(world, true)).toEqual({});
    expect(routes(world)).toEqual(['echo', 'ping', 'facts', 'connect', 'capacity']);
    expect(trace).toEqual([
      'hook Connecting after connect',
      'pre Connecting after connect',
      'post Connecting after connect',
      'after Connected after capacity',
    ]);
    expect(statuses(world)).toEqual(['Connecting', 'Connected']);
    expect(world.connected).toEqual(['h1']);
    expect(await world.repository.get(h1)).toMatchObject({
      bootId: 'boot-1',
      agentInstance: 'instance-1',
      cpus: 8,
      memoryMiB: 65_536,
      sshHostKeys: [expect.stringMatching(/^ssh-ed25519 /)],
    });
  });

  test('C2: a failure rolls back in reverse and ends Disconnected, whatever failed', async () => {
    const trace: string[] = [];
    const step = (name: string, fails = false) => ({
      name,
      run: async () => {
        trace.push(`run ${name}`);
        if (fails) throw new DomainError('REFUSED', 'the extension said no');
      },
      rollback: async () => void trace.push(`undo ${name}`),
    });
    const world = await rig({
      afterConnectHooks: [
        { name: 'a', createAfterConnectHookFlow: () => flow('a', [step('a1'), step('a2')]) },
        { name: 'none', createAfterConnectHookFlow: () => null },
        { name: 'b', createAfterConnectHookFlow: () => flow('b', [step('b1')]) },
      ],
      postConnect: [step('post', true)],
    });
    await world.addHost(1);
    expect((await connect(world)).error).toMatchObject({ message: 'the extension said no' });
    expect(trace).toEqual([
      'run a1',
      'run a2',
      'run b1',
      'run post',
      'undo b1',
      'undo a2',
      'undo a1',
    ]);
    expect(statuses(world)).toEqual(['Connecting', 'Disconnected']);
    expect(world.connected).toEqual([]);
    expect(world.ended).toEqual(['the extension said no']);
  });

  test('how it ended is kept: whoever asked for a reconnect sees it counted', async () => {
    const world = await rig();
    const agent = await world.addHost(1);
    const row = async () => {
      const { reconnectsEnded, connectFailure } = await world.repository.get(h1);
      return { reconnectsEnded, connectFailure };
    };
    await connect(world);
    expect(await row()).toEqual({ reconnectsEnded: 0, connectFailure: null });
    agent.scripts['echo'] = { fails: new TransportError('refused', 'nobody there') };
    const ask = { hostUuid: h1, calledBy: 'api' } as const;
    const reconnect = () =>
      world.clock.settle(world.bus.send('ReconnectHost', reconnectMessage(world.settings, ask)));
    await reconnect();
    expect(await row()).toEqual({
      reconnectsEnded: 1,
      connectFailure: expect.stringContaining('nothing listens there'),
    });
    delete agent.scripts['echo'];
    await reconnect();
    expect(await row()).toEqual({ reconnectsEnded: 2, connectFailure: null });
  });

  test('C9: a failing hook is rolled back itself first; no hook runs if connect-host failed', async () => {
    const trace: string[] = [];
    const hook = {
      name: 'hook',
      createAfterConnectHookFlow: () =>
        flow<HookContext>('hook', [
          {
            name: 'one',
            run: async () => {
              trace.push('run');
              throw new Error('no');
            },
            rollback: async () => void trace.push('undo'),
          },
        ]),
    };
    const world = await rig({ afterConnectHooks: [hook] });
    const agent = await world.addHost(1);
    agent.scripts['connect'] = { fails: new TransportError('reset', 'x') };
    await connect(world);
    expect(trace).toEqual([]);
    agent.scripts = {};
    await connect(world);
    expect(trace).toEqual(['run', 'undo']);
  });

  test('C2: a host that does not answer at all changes nothing, and is told once', async () => {
    const world = await rig();
    (await world.addHost(1)).killAgent();
    for (let i = 0; i < 3; i += 1)
      expect((await connect(world)).error?.message).toMatch(/start fenceline-agent/);
    expect(world.kinds()).toEqual(['host.connectFailed']);
  });
});

describe('C2: what the agent says is checked, and the error says what to do', () => {
  test('an agent of another protocol', async () => {
    const world = await rig();
    (await world.addHost(1)).protocolVersion = 2;
    expect((await connect(world)).error?.message).toMatch(/too new.*upgrade this server/);
  });

  test.each([
    [true, false, false, true, 'vmx or svm'],
    [false, true, false, true, '/dev/kvm works'],
    [false, false, false, false, 'neither'],
    [false, false, true, true, 'neither, but emulation is allowed'],
  ])('vmx/svm %s, kvm %s, emulation %s → %s: %s', async (flags, kvm, allowed, ok) => {
    const world = await rig();
    const agent = await world.addHost(1);
    Object.assign(agent, { cpuVirtualization: flags, kvmDevice: kvm });
    world.settings.host.allowEmulation = allowed;
    const { error } = await connect(world);
    if (ok) expect(error).toBeUndefined();
    else expect(error?.message).toMatch(/allowEmulation/);
  });

  test('a host key that changed after the first connect is refused', async () => {
    const world = await rig();
    const agent = await world.addHost(1);
    await connect(world, true);
    agent.sshHostKeys = ['ssh-ed25519 AAAAother'];
    const { error } = await connect(world);
    // Nothing was installed on what may be a stranger.
    expect(world.gateway.callsOf('connect')).toHaveLength(1);
    expect(error?.message).toMatch(/not the one pinned.*remove it and add it again/);
    expect((await world.repository.get(h1)).status).toBe('Disconnected');
  });

  test('another host at that address is refused', async () => {
    const world = await rig();
    const agent = await world.addHost(1);
    agent.scripts['ping'] = { answer: { hostUuid: hostUuid(2) } };
    expect((await connect(world)).error?.message).toMatch(/another host answers/);
  });

  test('a reboot in the middle of the connect is refused', async () => {
    const world = await rig();
    const agent = await world.addHost(1);
    agent.scripts['connect'] = { answer: { bootId: 'boot-2' } };
    expect((await connect(world)).error?.message).toMatch(/rebooted while/);
  });

  test('F11: the connect brings what the ledger knows of the host', async () => {
    const world = await rig();
    await world.addHost(1);
    const vmUuid = hostUuid(70);
    const run = { vmUuid, hostUuid: h1, bootId: 'b', openedAt: 'now', closedAt: null };
    const rows = [3, 8, 5].map((epoch) => ({
      ...run,
      epoch,
      state: 'closed' as const,
      proofUuid: null,
    }));
    await world.store.db.insertInto('runs').values(rows).execute();
    await connect(world);
    expect(world.gateway.callsOf('connect')[0]?.command).toMatchObject({
      runs: [{ vmUuid, epoch: 8 }],
    });
  });
});

describe('C7: the capacity check', () => {
  test('C7: has its own 30 minutes, not what is left of the connect', async () => {
    const world = await rig();
    world.settings.host.connect.timeoutSec = 10;
    const agent = await world.addHost(1);
    agent.scripts['facts'] = { delayMs: 9_000 };
    agent.scripts['capacity'] = { delayMs: CHECK_HOST_CAPACITY_TIMEOUT_MS - 1_000 };
    expect(await connect(world)).toEqual({});
    expect((await world.repository.get(h1)).status).toBe('Connected');
  });

  test('C7: ends at 30 minutes', async () => {
    const world = await rig();
    const agent = await world.addHost(1);
    agent.scripts['capacity'] = { delayMs: 10 * CHECK_HOST_CAPACITY_TIMEOUT_MS };
    const startMs = world.clock.monotonicMs();
    expect((await connect(world)).error).toBeDefined();
    const tookMs = world.clock.monotonicMs() - startMs;
    expect(tookMs).toBeGreaterThanOrEqual(CHECK_HOST_CAPACITY_TIMEOUT_MS);
    expect(tookMs).toBeLessThan(CHECK_HOST_CAPACITY_TIMEOUT_MS + 1_000);
  });

  test('C7: the other steps share host.connect.timeoutSec', async () => {
    const world = await rig();
    world.settings.host.connect.timeoutSec = 10;
    const agent = await world.addHost(1);
    agent.scripts['facts'] = { delayMs: 20_000 };
    expect((await connect(world)).error?.code).toMatch(/TIMED_OUT|HOST_UNREACHABLE/);
    expect(world.clock.monotonicMs()).toBeLessThan(11_000);
    expect((await world.repository.get(h1)).status).toBe('Disconnected');
  });

  test('C7: capacity below the reserve fails the connect', async () => {
    const world = await rig();
    (await world.addHost(1)).memoryMiB = 1_000;
    expect((await connect(world)).error?.message).toMatch(/reserve of 1024 MiB/);
    expect(await world.repository.get(h1)).toMatchObject({
      status: 'Disconnected',
      memoryMiB: 1_000,
    });
  });
});

describe('C4, C5: reconnects and single flight', () => {
  /** Every run that began and ended, with the marker that it saw. */
  function watchRuns(): { trace: string[]; extensions: Partial<ConnectExtensions> } {
    const trace: string[] = [];
    const record = (word: string) => ({
      name: word,
      run: async ({ info }: HookContext) => void trace.push(`${word} ${info.reconnect}`),
    });
    return {
      trace,
      extensions: { preConnect: [record('begin')], afterConnected: [record('end')] },
    };
  }

  const ask = (world: Rig, kinds: string) =>
    world.clock.settle(
      Promise.all(
        Array.from(kinds, (kind) => kind).map((kind) =>
          kind === 'c'
            ? world.bus.send(
                'ConnectHost',
                connectMessage(world.settings, { hostUuid: h1, newAdd: false }),
              )
            : world.bus.send(
                'ReconnectHost',
                reconnectMessage(world.settings, { hostUuid: h1, calledBy: 'api' }),
              ),
        ),
      ),
    );

  test.each([
    ['ccccc', ['begin false', 'end false'], 'N connects are one run'],
    ['rrrrr', ['begin true', 'end true'], 'N reconnects are one run with the marker'],
    ['crcrc', ['begin false', 'end false', 'begin true', 'end true'], 'a mix is exactly two'],
    ['rcccr', ['begin false', 'end false', 'begin true', 'end true'], 'whichever came first'],
  ])('C5: %s → %j: %s', async (kinds, expected) => {
    const { trace, extensions } = watchRuns();
    const world = await rig(extensions);
    (await world.addHost(1)).scripts['capacity'] = { delayMs: 5_000 };
    expect(await ask(world, kinds)).toEqual(Array.from(kinds, () => ({})));
    expect(trace).toEqual(expected);
  });

  test('C5: all that share a run get its failure', async () => {
    const world = await rig();
    (await world.addHost(1)).memoryMiB = 1;
    const replies = await ask(world, 'ccc');
    expect(replies.map(({ error }) => error?.code)).toEqual(['CONFLICT', 'CONFLICT', 'CONFLICT']);
    expect(world.gateway.callsOf('capacity')).toHaveLength(1);
  });

  test('C5: a connect whose message timed out is over before the next one begins', async () => {
    const trace: string[] = [];
    const world = await rig({
      preConnect: [
        {
          name: 'slow to react',
          run: async ({ info }) => {
            trace.push(`begin ${info.reconnect}`);
            // Ignores the signal for a while, as an adapter may.
            await new Promise<void>((resolve) => world.clock.after(60_000, resolve));
            trace.push(`end ${info.reconnect}`);
          },
        },
      ],
    });
    await world.addHost(1);
    world.settings.host.connect.timeoutSec = 30;
    const message = { hostUuid: h1, newAdd: false, reconnect: false, timeoutMs: 5_000 };
    const first = world.bus.send('ConnectHost', message);
    const second = world.bus.send(
      'ReconnectHost',
      reconnectMessage(world.settings, { hostUuid: h1, calledBy: 'api' }),
    );
    expect((await world.clock.settle(first)).error?.code).toBe('TIMED_OUT');
    await world.clock.settle(second);
    const begins = world.seen.filter(
      ({ kind, text }) => kind === 'host.status' && /→ Connecting/.test(text),
    );
    expect(begins).toHaveLength(2);
    const order = world.seen
      .filter(({ kind }) => kind === 'host.status')
      .map(({ text }) => text.split(' ')[4]);
    expect(order.slice(0, 3)).toEqual(['Connecting', 'Disconnected', 'Connecting']);
  });

  test('C4: only ReconnectHost brings the marker; skipIfConnected leaves a good link alone', async () => {
    const { trace, extensions } = watchRuns();
    const world = await rig(extensions);
    await world.addHost(1);
    await ask(world, 'c');
    await ask(world, 'r');
    const skip = reconnectMessage(world.settings, {
      hostUuid: h1,
      calledBy: 'tracking',
      skipIfConnected: true,
    });
    expect(await world.clock.settle(world.bus.send('ReconnectHost', skip))).toEqual({});
    expect(trace).toEqual(['begin false', 'end false', 'begin true', 'end true']);
  });

  test('stop ends a connect that is under way, rolled back, with no timer left', async () => {
    const world = await rig();
    (await world.addHost(1)).scripts['capacity'] = { delayMs: 60_000 };
    const reply = world.bus.send(
      'ConnectHost',
      connectMessage(world.settings, { hostUuid: h1, newAdd: false }),
    );
    await world.clock.advance(1_000);
    expect((await world.repository.get(h1)).status).toBe('Connecting');
    await world.clock.settle(world.connector.stop());
    expect((await reply).error?.code).toBe('STOPPING');
    expect((await world.repository.get(h1)).status).toBe('Disconnected');
    expect(world.clock.pending).toBe(0);
  });
});
