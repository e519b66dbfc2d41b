import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import type { PowerDeviceConfig } from '../powerDevice.js';
import { fenceAgentPower } from './fenceAgentPower.js';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'fenceline-agents-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const limit = { timeoutMs: 20_000 };
const power = fenceAgentPower({ log: silentLogger, path: '/usr/sbin:/usr/bin:/sbin:/bin' });
/** A device of the package that keeps its state in a file. */
const dummy = (more: Record<string, string> = {}): PowerDeviceConfig => ({
  agent: 'fence_dummy',
  parameters: { type: 'file', status_file: join(dir, 'state'), plug: 'h1', ...more },
});

test('powerOff: the words and exit codes of the real fence-agents are the listed ones', async () => {
  await power.on(dummy(), limit);
  expect(await power.status(dummy(), limit)).toBe('on');
  await power.off(dummy(), limit);
  expect(await power.status(dummy(), limit)).toBe('off');
  // One that is off already says "Already OFF" and is believed by its reading alone.
  await power.off(dummy(), limit);
  expect(await power.status(dummy(), limit)).toBe('off');
  await power.on(dummy(), limit);
  expect(await power.status(dummy(), limit)).toBe('on');
}, 60_000);

test('powerOff: a real fence agent that is called wrongly, or can not reach its device, reads unknown', async () => {
  const missing = { agent: 'fence_ipmilan', parameters: { username: 'x', password: 'y' } };
  expect(await power.status(missing, limit)).toBe('unknown');
  await expect(power.off(missing, limit)).rejects.toMatchObject({ failure: 'failed' });
  const broken = { agent: 'fence_dummy', parameters: { type: 'no-such-type', plug: 'h1' } };
  // Measured: this one reads off for a set-up that it doesn't know. So no reading of a device counts
  // before a drill has seen it on while its host ran.
  expect(await power.status(broken, limit)).toBe('off');
}, 60_000);
