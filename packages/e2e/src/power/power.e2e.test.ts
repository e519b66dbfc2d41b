import { readFileSync } from 'node:fs';
import path from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fenceAgentProgram } from '@fenceline/lab';
import {
  allOnline,
  closeSite,
  eventually,
  openSite,
  runVm,
  showVm,
  type Site,
} from '../failover/site.js';
import { startBmc } from './bmc.js';

const LIMIT_MS = 240_000;
const call = { deadlineMs: 30_000 };
const long = { deadlineMs: 180_000 };

let site: Site | undefined;
beforeAll(async () => {
  // A dead BMC costs this twice: its "off", and its reading.
  const settings = { ha: { power: { commandTimeoutMs: 6_000 } } };
  site = await openSite(path.join(tmpdir(), `fl-power-${process.pid}`), { settings });
}, LIMIT_MS);
afterAll(() => closeSite(site), LIMIT_MS);

function here(): Site {
  if (site === undefined) throw new Error('no lab');
  return site;
}

/** A supply of a host, as a real fence agent switches it. */
const supply = (plug: string) => ({
  agent: fenceAgentProgram,
  parameters: { plug, lab_dir: here().lab.paths.dir },
});

test(
  'powerOff: a BMC by the real fence_ipmilan, and two supplies, are drilled level by level',
  async () => {
    const { lab, cluster } = here();
    const bmc = { agent: 'fence_ipmilan', parameters: await startBmc(lab, 'h1') };
    const levels = [{ devices: [bmc] }, { devices: [supply('h1-a'), supply('h1-b')] }];
    await cluster.api.setHostPower({ host: 'h1', levels }, call);
    await cluster.api.verifyHostPower({ host: 'h1' }, long);
    const { powerLevels } = await cluster.api.showHost({ host: 'h1' }, call);
    expect(powerLevels.map(({ verified, devices }) => [verified, devices.length])).toEqual([
      [true, 1],
      [true, 2],
    ]);
    await allOnline(here());
  },
  LIMIT_MS,
);

test(
  'powerOff: the BMC died with its host, one of two feeds sticks: no start; both off: a start with proof',
  async () => {
    const { lab, cluster, hosts } = here();
    const [h1] = hosts;
    if (h1 === undefined) throw new Error('no host');
    await runVm(here(), 'web1', h1);
    await lab.powerDevice({ mode: 'stuck', plug: 'h1-b' });
    await lab.mgr.killService('bmc');
    // Mute and alive: its qemu goes on writing.
    await h1.fault('mgmt-cut');
    await eventually('the start is refused because of the second feed', async () => {
      const { items } = await cluster.api.listTasks({ vm: 'web1', limit: 1 }, call);
      return items[0]?.waitsFor?.includes('of level 2 reads on after "off"') ?? false;
    });
    const before = await showVm(here(), 'web1');
    expect(before.runs.map(({ state }) => state)).toEqual(['running']);
    expect((await h1.status()).power).toBe('on');
    const { items } = await cluster.api.listTasks({ vm: 'web1', limit: 1 }, call);
    expect(items[0]?.waitsFor).toContain('level 1: the power device reads unknown');
    await lab.powerDevice({ mode: 'ok' });
    await eventually('web1 runs elsewhere', async () => {
      const vm = await showVm(here(), 'web1');
      return vm.state === 'Running' && vm.hostName !== 'h1' && vm.openTaskUuid === null;
    });
    expect((await h1.status()).power).toBe('off');
    expect(lab.check('web1').verdict).toBe('oneWriter');
  },
  LIMIT_MS,
);

test(
  'I2: its proof verifies on a machine without a server, and not any more once it is changed',
  async () => {
    const { lab, cluster } = here();
    const file = '/root/web1.proof.json';
    const exported = await cluster.cli(['task', 'proof', 'web1', '--out', file, '--verify']);
    expect([exported.code, exported.stderr]).toEqual([0, expect.stringContaining('written to')]);
    const text = readFileSync(lab.mgr.pathOf(file), 'utf8');
    expect(JSON.parse(text)).toMatchObject({
      proofs: [
        {
          kind: 'powerOff',
          facts: { level: 2, devices: [{ readBack: 'off' }, { readBack: 'off' }] },
        },
      ],
    });
    expect(text).not.toContain('bmc-canary');
    await lab.mgr.killService('server');
    const verify = (name: string) => cluster.cli(['task', 'proof', '--verify', name]);
    expect((await verify(file)).code).toBe(0);
    const forged = text.replace('"readBack":"off"', '"readBack":"on"');
    await lab.mgr.mustExec(['sh', '-c', `cat > ${file}.forged`], { input: forged });
    const found = await verify(`${file}.forged`);
    expect([found.code, found.stderr]).toEqual([
      3,
      expect.stringContaining('reads on after "off"'),
    ]);
  },
  LIMIT_MS,
);
