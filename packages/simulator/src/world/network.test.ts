import { expect, test } from '@jest/globals';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { Flow, Network, type Cut } from './network.js';

function network(): { clock: VirtualClock; network: Network } {
  const clock = new VirtualClock();
  return { clock, network: new Network(clock, seededRandom(1)) };
}

test.each([
  // cut of h1  h1 → h2  h2 → h1
  ['none', true, true],
  ['both', false, false],
  ['in', true, false],
  ['out', false, true],
] as const)('cut %s: h1 sends %s, h1 hears %s', (cut: Cut, sends, hears) => {
  const { network: net } = network();
  net.cut('h1', cut);
  expect(net.passes({ from: 'h1', to: 'h2' })).toBe(sends);
  expect(net.passes({ from: 'h2', to: 'h1' })).toBe(hears);
  expect(net.bothWays({ from: 'h1', to: 'h2' })).toBe(sends && hears);
});

test('a connection keeps its order, and what meets a cut comes when it is mended', async () => {
  const { clock, network: net } = network();
  const flow = new Flow(clock, net, { from: 'h1', to: 'h2' });
  const got: number[] = [];
  for (let i = 0; i < 20; i += 1) flow.send(() => got.push(i));
  await clock.advance(10);
  net.cut('h2', 'in');
  flow.send(() => got.push(20));
  await clock.advance(60_000);
  expect(got).toHaveLength(20);
  net.cut('h2', 'none');
  flow.send(() => got.push(21));
  await clock.advance(10);
  expect(got).toEqual(Array.from({ length: 22 }, (_, i) => i));
});
