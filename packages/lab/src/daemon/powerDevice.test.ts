import { expect, test } from '@jest/globals';
import { hostName, type HostName } from '../plan/names.js';
import { PowerDevice, type Outlets } from './powerDevice.js';

/** Two hosts that obey at once. */
class TwoHosts implements Outlets {
  readonly power = new Map<HostName, boolean>([
    ['h1', true],
    ['h2', true],
  ]);
  on(host: HostName): Promise<void> {
    this.power.set(host, true);
    return Promise.resolve();
  }
  off(host: HostName): Promise<void> {
    this.power.set(host, false);
    return Promise.resolve();
  }
  isOn(host: HostName): boolean {
    return this.power.get(hostName(host)) === true;
  }
  list(): HostName[] {
    return [...this.power.keys()];
  }
}

const stays = new AbortController().signal;

test('it switches the host that was named, and reads it back', async () => {
  const hosts = new TwoHosts();
  const device = new PowerDevice(hosts);
  expect(await device.handle({ action: 'off', plug: 'h2' }, stays)).toEqual({ power: 'off' });
  expect([...hosts.power.values()]).toEqual([true, false]);
  expect(await device.handle({ action: 'status', plug: 'h1' }, stays)).toEqual({ power: 'on' });
});

test('a lying device says what is wished for, until it is honest again', async () => {
  const hosts = new TwoHosts();
  const device = new PowerDevice(hosts);
  device.setMode({ mode: 'lying' });
  expect(await device.handle({ action: 'off', plug: 'h1' }, stays)).toEqual({ power: 'off' });
  expect(await device.handle({ action: 'status', plug: 'h1' }, stays)).toEqual({ power: 'off' });
  expect(hosts.isOn('h1')).toBe(true);
  device.setMode({ mode: 'ok' });
  expect(await device.handle({ action: 'status', plug: 'h1' }, stays)).toEqual({ power: 'on' });
});

test('a dead device answers nobody, however long the caller stays', async () => {
  const device = new PowerDevice(new TwoHosts());
  device.setMode({ mode: 'dead' });
  const leaves = new AbortController();
  const answer = device.handle({ action: 'status', plug: 'h1' }, leaves.signal);
  leaves.abort(new Error('left'));
  await expect(answer).rejects.toThrow('left');
});

test('a host lives on either of its supplies, and dies when both are off', async () => {
  const hosts = new TwoHosts();
  const device = new PowerDevice(hosts);
  const ask = (action: string, plug: string) => device.handle({ action, plug }, stays);
  expect(await ask('off', 'h1-a')).toEqual({ power: 'off' });
  expect(hosts.isOn('h1')).toBe(true);
  expect(await ask('status', 'h1-b')).toEqual({ power: 'on' });
  expect(await ask('status', 'h1')).toEqual({ power: 'on' });
  await ask('off', 'h1-b');
  expect(hosts.isOn('h1')).toBe(false);
  expect(await ask('on', 'h1-b')).toEqual({ power: 'on' });
  expect(hosts.isOn('h1')).toBe(true);
  expect(await ask('status', 'h1-a')).toEqual({ power: 'off' });
  await ask('off', 'h1');
  expect(hosts.isOn('h1')).toBe(false);
  // Somebody pressed its button.
  await hosts.on('h1');
  expect(await ask('status', 'h1-a')).toEqual({ power: 'on' });
  expect(await device.handle({ action: 'list' }, stays)).toEqual({
    plugs: ['h1', 'h1-a', 'h1-b', 'h2', 'h2-a', 'h2-b'],
  });
});

test('a stuck outlet stays on and reads on; the others work', async () => {
  const hosts = new TwoHosts();
  const device = new PowerDevice(hosts);
  device.setMode({ mode: 'stuck', plug: 'h1-b' });
  expect(await device.handle({ action: 'off', plug: 'h1-b' }, stays)).toEqual({ power: 'on' });
  expect(await device.handle({ action: 'off', plug: 'h1-a' }, stays)).toEqual({ power: 'off' });
  expect(hosts.isOn('h1')).toBe(true);
});

test.each([
  [{ action: 'off', plug: 'h3' }, /No outlet/],
  [{ action: 'off' }, /no lab host/],
  [{ action: 'toggle', plug: 'h1' }, /Unknown action/],
])('%j is refused', async (request, why) => {
  await expect(new PowerDevice(new TwoHosts()).handle(request, stays)).rejects.toThrow(why);
});
