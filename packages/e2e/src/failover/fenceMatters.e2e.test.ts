import path from 'node:path';
import { tmpdir } from 'node:os';
import { afterEach, expect, test } from '@jest/globals';
import { closeSite, eventually, openSite, runVm, showVm, type Site } from './site.js';

const LIMIT_MS = 240_000;
/** A guest's life, as the checker names it. */
const ID = /\b[0-9A-F]{8}\b/g;
const lyingServer = path.resolve(import.meta.dirname, '../../dist/failover/lyingServer.js');

let site: Site | undefined;
afterEach(async () => {
  await closeSite(site);
  site = undefined;
}, LIMIT_MS);

/** The agent and libvirt of the VM's host die, its qemu lives on. */
async function leftover(options: { serverProgram?: string }): Promise<Site> {
  const dir = path.join(tmpdir(), `fl-fence-${process.pid}`);
  const here = await openSite(dir, options);
  site = here;
  const [h1] = here.hosts;
  if (h1 === undefined) throw new Error('no host');
  await runVm(here, 'web1', h1);
  await Promise.all([h1.killService('agent'), h1.killService('libvirtd')]);
  await eventually('web1 runs elsewhere', async () => {
    const vm = await showVm(here, 'web1');
    return vm.state === 'Running' && vm.hostName !== 'h1';
  });
  return here;
}

test(
  'F2: the fence matters: with a peer channel that lies, a leftover qemu and the new one both write',
  async () => {
    const here = await leftover({ serverProgram: lyingServer });
    let seen = here.lab.check('web1');
    await eventually('the checker sees two writers', async () => {
      seen = here.lab.check('web1');
      return seen.verdict === 'twoWriters';
    });
    // Of the same look: one writes over what the other wrote, so a later one may show one life only.
    const lives = [...seen.writers.map(({ id }) => id), ...(seen.reasons.join().match(ID) ?? [])];
    expect(new Set(lives).size).toBeGreaterThanOrEqual(2);
  },
  LIMIT_MS,
);

test(
  'F22: with the product as it is, the same story has one writer, and the proof is in the record',
  async () => {
    const here = await leftover({});
    // Long enough for a leftover qemu to write: it does so 18 times a second.
    const { counter } = here.lab.check('web1');
    await eventually('the new life has written', async () => {
      return (here.lab.check('web1').counter ?? 0) > (counter ?? 0) + 20;
    });
    expect(here.lab.check('web1').verdict).toBe('oneWriter');
    const vm = await showVm(here, 'web1');
    expect(vm.runs.map(({ state }) => state)).toEqual(
      expect.arrayContaining(['closed', 'running']),
    );
  },
  LIMIT_MS,
);
