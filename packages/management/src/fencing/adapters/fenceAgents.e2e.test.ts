import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import type { PowerDeviceConfig } from '../power/powerDevice.js';
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

/** A fence agent on the package's own library; its device has one outlet, `a`. */
const ONE_OUTLET = `#!/usr/bin/python3
import sys, atexit
sys.path.append("/usr/share/fence")
from fencing import *
def status(conn, options):
    missing = "off" if "--missing-as-off" in options else "unknown"
    return "on" if options.get("--plug") == "a" else missing
def main():
    device_opt = ["port", "no_login", "no_password", "missing_as_off"]
    atexit.register(atexit_handler)
    options = check_input(device_opt, process_input(device_opt))
    sys.exit(fence_action(None, options, lambda conn, options: None, status, None))
main()
`;

test('powerOff: an outlet that the device does not know never reads off', async () => {
  const agent = join(dir, 'fence_one_outlet');
  writeFileSync(agent, ONE_OUTLET, { mode: 0o700 });
  const outlet = (more: Record<string, string>) => ({ agent, parameters: { plug: 'b', ...more } });
  expect(await power.status({ agent, parameters: { plug: 'a' } }, limit)).toBe('on');
  expect(await power.status(outlet({}), limit)).toBe('unknown');
  // It reads off with any of these, also with 0: nothing of it is asked.
  for (const key of ['missing_as_off', 'missing-as-off', 'missing-as_off'])
    for (const value of ['1', '0'])
      await expect(power.status(outlet({ [key]: value }), limit)).rejects.toMatchObject({
        failure: 'badParameters',
      });
}, 60_000);
