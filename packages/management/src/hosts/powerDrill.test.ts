import { beforeEach, describe, expect, test } from '@jest/globals';
import { Secret, sleep } from '@fenceline/common';
import type { PowerDevice, PowerDeviceConfig, PowerState } from '../fencing/power/powerDevice.js';

import { makeRig, type HostsRig } from './testing/rig.js';
import { hostUuid } from './testing/world.js';

/** Outlets by their parameter `plug`; the host lives as long as one that feeds it is on. */
class Outlets implements PowerDevice {
  readonly states = new Map<string, PowerState>();
  /** Plugs that feed the host. */
  feeds = new Set(['a', 'b']);
  /** Says OK, reads off, and leaves it on. */
  lying = new Set<string>();
  /** Turns itself on again once another one is off. */
  comesBack: string | undefined;
  readonly calls: string[] = [];
  changed: (hasPower: boolean) => void = () => undefined;
  clock: HostsRig['clock'] | undefined;

  off = (config: PowerDeviceConfig): Promise<void> => this.#set(config, 'off');
  on = (config: PowerDeviceConfig): Promise<void> => this.#set(config, 'on');
  async status({ parameters }: PowerDeviceConfig): Promise<PowerState> {
    return this.states.get(parameters['plug'] ?? '') ?? 'on';
  }
  get #hasPower(): boolean {
    return [...this.feeds].some((plug) => this.lying.has(plug) || this.states.get(plug) !== 'off');
  }
  async #set({ parameters }: PowerDeviceConfig, to: 'on' | 'off'): Promise<void> {
    if (this.clock !== undefined) await sleep(this.clock, 100);
    const before = this.#hasPower;
    const plug = parameters['plug'] ?? '';
    this.calls.push(`${plug} ${to}`);
    this.states.set(plug, to);
    if (to === 'off' && this.comesBack !== undefined && this.comesBack !== plug)
      this.states.set(this.comesBack, 'on');
    if (this.#hasPower !== before) this.changed(this.#hasPower);
  }
}

let rig: HostsRig;
let outlets: Outlets;
let h1: string;
beforeEach(async () => {
  outlets = new Outlets();
  rig = await makeRig(1, { power: outlets });
  outlets.clock = rig.clock;
  const [agent] = rig.agents;
  if (agent === undefined) throw new Error('no host');
  h1 = hostUuid(1);
  let boots = 1;
  outlets.changed = (hasPower) => {
    if (hasPower) rig.clock.after(20_000, () => agent.boot(`boot-${(boots += 1)}`));
    else agent.powerOff();
  };
});

const device = (plug: string) => ({
  agent: 'fence_test',
  parametersJson: new Secret(JSON.stringify({ plug })),
});
const set = (...levels: string[][]) =>
  rig.hosts.inventory.setPowerLevels(
    h1,
    levels.map((plugs) => plugs.map(device)),
  );
const verify = (level?: number) => rig.clock.settle(rig.hosts.inventory.verifyPower(h1, level));
const verified = async () =>
  (await rig.hosts.inventory.powerLevels(h1)).map(({ devices }) =>
    devices.map(({ verifiedAt }) => verifiedAt !== null),
  );

describe('the drill of a host with two supplies', () => {
  test('powerOff: each feed alone keeps it alive, both off silence it: verified', async () => {
    await set(['a', 'b']);
    await verify();
    expect(await verified()).toEqual([[true, true]]);
    expect(outlets.calls).toEqual([
      ...['b off', 'b on', 'a off', 'a on'],
      ...['a off', 'b off', 'a on', 'b on'],
    ]);
    expect(await rig.hosts.inventory.show(h1)).toMatchObject({ state: 'Enabled' });
    await rig.hosts.stop();
  });

  test('powerOff: an outlet of another machine is found out, and is on again', async () => {
    outlets.feeds = new Set(['a']);
    await set(['a', 'b']);
    await expect(verify()).rejects.toThrow(
      /did not live on with only the device 2 \(fence_test\) on/,
    );
    expect(await verified()).toEqual([[false, false]]);
    expect([...outlets.states.values()]).toEqual(['on', 'on']);
    await rig.hosts.stop();
  });

  test('powerOff: a third feed that nobody named keeps it alive: not verified', async () => {
    outlets.feeds = new Set(['a', 'b', 'c']);
    await set(['a', 'b']);
    await expect(verify()).rejects.toThrow(/something else feeds this one/);
    expect(await verified()).toEqual([[false, false]]);
    await rig.hosts.stop();
  });

  test('powerOff: a feed that lies about being off keeps it alive: not verified', async () => {
    outlets.lying.add('b');
    await set(['a', 'b']);
    await expect(verify()).rejects.toThrow(/still answers/);
    expect(await verified()).toEqual([[false, false]]);
    await rig.hosts.stop();
  });

  test('powerOff: a feed that is back when the next one is off: never off at one moment', async () => {
    outlets.comesBack = 'a';
    await set(['a', 'b']);
    await expect(verify()).rejects.toThrow('the device was told off and still reads on');
    expect(await verified()).toEqual([[false, false]]);
    await rig.hosts.stop();
  });

  test('one of two levels: only that one is switched and verified', async () => {
    await set(['x'], ['a', 'b']);
    await verify(2);
    expect(await verified()).toEqual([[false], [true, true]]);
    expect(outlets.calls.some((call) => call.startsWith('x'))).toBe(false);
    await expect(verify(3)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await rig.hosts.stop();
  });

  test('a level that fails leaves what passed before it proven', async () => {
    outlets.feeds = new Set(['a']);
    await set(['a'], ['x']);
    await expect(verify()).rejects.toThrow(/still answers/);
    expect(await verified()).toEqual([[true], [false]]);
    await rig.hosts.stop();
  });
});

describe('bad input names level and device, and changes nothing', () => {
  test.each<[string, string[][], string]>([
    ['a device twice', [['a', 'a']], 'levels.0.devices: the same device stands there twice'],
    ['an empty level', [['a'], []], 'levels.1.devices: 1 to 8'],
    ['too many', Array.from({ length: 10 }, (_, i) => [`p${i}`]), 'levels: at most 9'],
  ])('%s', async (_name, levels, problem) => {
    await set(['a', 'b']);
    await expect(set(...levels)).rejects.toThrow(problem);
    expect(await verified()).toEqual([[false, false]]);
    await rig.hosts.stop();
  });

  test('never cycle', async () => {
    const parametersJson = new Secret(JSON.stringify({ plug: 'a', method: 'cycle' }));
    const cycling = { agent: 'fence_ipmilan', parametersJson };
    await expect(rig.hosts.inventory.setPowerLevels(h1, [[device('b'), cycling]])).rejects.toThrow(
      'levels.0.devices.1: the parameter method must not be cycle',
    );
    await rig.hosts.stop();
  });
});
