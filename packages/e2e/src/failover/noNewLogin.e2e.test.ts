import path from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, expect, test } from '@jest/globals';
import { closeSite, eventually, openSite, runVm, showVm, type Site } from './site.js';

const LIMIT_MS = 240_000;
const LIMIT = { deadlineMs: 30_000 };

let site: Site | undefined;
afterAll(async () => {
  await closeSite(site);
}, LIMIT_MS);

test(
  'F27, F29a: a host that can make no process any more is fenced over the lines that the server laid',
  async () => {
    const dir = path.join(tmpdir(), `fl-line-${process.pid}`);
    site = await openSite(dir);
    const { cluster, hosts, lab } = site;
    const [h1] = hosts;
    if (h1 === undefined) throw new Error('no host');
    await eventually('both siblings keep a standing line to h1', async () => {
      const { canBeFencedBy, orderTokens } = await cluster.api.showHost({ host: 'h1' }, LIMIT);
      return orderTokens === 16 && canBeFencedBy.every(({ ways }) => ways.length === 2);
    });
    const shown = await cluster.cli(['host', 'show', 'h1']);
    expect(shown.stdout).toMatch(
      /can be fenced by\s+h[23] \(standing, door, [\d.]+ ms\), h[23] \(standing/,
    );
    expect(shown.stdout).toMatch(/order tokens\s+16/);
    await runVm(site, 'web1', h1);
    await Promise.all([h1.killService('agent'), h1.killService('libvirtd')]);
    await h1.fault('pids 0');
    const options = ['-o', 'StrictHostKeyChecking=no', '-o', 'BatchMode=yes'];
    const key = ['-i', '/var/lib/fenceline/agent/fence-key'];
    const login = await lab.host('h2').exec(['ssh', ...options, ...key, `root@${h1.address}`]);
    expect(login).toMatchObject({ code: 255, stdout: '' });
    const here = site;
    await eventually('web1 runs elsewhere', async () => {
      const vm = await showVm(here, 'web1');
      return vm.state === 'Running' && vm.hostName !== 'h1';
    });
    const { counter } = lab.check('web1');
    await eventually('the new life has written', async () => {
      return (lab.check('web1').counter ?? 0) > (counter ?? 0) + 20;
    });
    expect(lab.check('web1').verdict).toBe('oneWriter');
    // One order, one token: the spare ones of that call still lie there.
    await h1.fault('pids-ok');
    const tokens = await h1.mustExec(['sh', '-c', 'ls /run/fenceline/tokens | wc -l']);
    // One for each way that the order was sent: the next joins in when one has said nothing for a moment.
    expect(Number(tokens)).toBeLessThan(16);
    expect(Number(tokens)).toBeGreaterThanOrEqual(13);
  },
  LIMIT_MS,
);
