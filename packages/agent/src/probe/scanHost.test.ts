import { expect, test } from '@jest/globals';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { ScanHostCmd } from '@fenceline/protocol';
import type { AddressSigns } from '../fence/signsOfLife.js';
import { scanHost, type ScanPorts } from './scanHost.js';

const H1 = '0a000000-0000-4000-8000-000000000001';
const { signal } = new AbortController();
const command = (fields: Partial<ScanHostCmd> = {}): ScanHostCmd =>
  Object.assign(
    new ScanHostCmd(),
    { targetHostUuid: H1, targetAddresses: ['10.0.0.1'], timeoutMs: 1_000, attempts: 2 },
    fields,
  );
const refused: AddressSigns = {
  address: '10.0.0.1',
  way: undefined,
  tcp: [{ port: 22, sign: 'refused' }],
  icmp: 'silent',
  neighbour: 'unknown',
};

function world(answers: Partial<Pick<ScanPorts, 'echo' | 'signs'>> = {}): {
  ports: ScanPorts;
  clock: VirtualClock;
} {
  const clock = new VirtualClock();
  const silent: ScanPorts = {
    clock,
    random: seededRandom(1),
    echo: { echo: () => new Promise(() => undefined) },
    // Looks until the time is over, or until it is told to stop.
    signs: {
      look: (_target, { withinMs, signal }) =>
        new Promise((resolve) => {
          const timer = clock.after(withinMs, () => resolve([]));
          signal.addEventListener('abort', () => {
            timer.cancel();
            resolve([]);
          });
        }),
    },
  };
  return { ports: { ...silent, ...answers }, clock };
}

test('D4: an agent that echoes ends the scan at once', async () => {
  const { ports, clock } = world({ echo: { echo: async () => H1 } });
  const two = command({ targetAddresses: ['10.0.0.1', '10.0.0.2'] });
  const rsp = await clock.settle(scanHost(ports, two, signal));
  expect(rsp).toMatchObject({ success: true, level: 'agent', unstable: false });
  expect(clock.monotonicMs()).toBe(0);
});

test('D4: silence takes all attempts, within the time of the command', async () => {
  const { ports, clock } = world();
  const rsp = await clock.settle(scanHost(ports, command(), signal));
  expect(rsp).toMatchObject({ level: 'nothing', unstable: false, signsOfLife: [] });
  expect(clock.monotonicMs()).toBe(1_000);
});

test('D4: an agent that answers only the second time is unstable', async () => {
  let asked = 0;
  const echo = {
    echo: () => {
      asked += 1;
      return asked === 1 ? new Promise<string>(() => undefined) : Promise.resolve(H1);
    },
  };
  const { ports, clock } = world({ echo });
  const rsp = await clock.settle(scanHost(ports, command(), signal));
  expect(rsp).toMatchObject({ level: 'agent', unstable: true });
});

test('D4: a kernel that refuses is alive, although no agent answers', async () => {
  const { ports, clock } = world({
    echo: { echo: () => Promise.reject(new Error('refused')) },
    signs: { look: async () => [refused] },
  });
  const rsp = await clock.settle(scanHost(ports, command(), signal));
  expect(rsp).toMatchObject({
    level: 'kernel',
    unstable: false,
    signsOfLife: ['10.0.0.1 tcp:22 refused'],
  });
});

test('a scan of nowhere is refused', async () => {
  const { ports } = world();
  await expect(scanHost(ports, command({ targetAddresses: [] }), signal)).rejects.toMatchObject({
    code: 'BAD_INPUT',
  });
});
