import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { HostHandle } from '@fenceline/lab';
import { closeSite, eventually, openSite, runVm, showVm, type Site } from '../failover/site.js';
import { notTold } from './sentence.js';

const LIMIT_MS = 240_000;
const KEY = '/etc/ssh/ssh_host_ed25519_key';

let site: Site;
let h1: HostHandle;
let h3: HostHandle;

beforeAll(async () => {
  // Without fence lines: one that stands would need no login.
  const settings = { ha: { fenceLine: { perHost: 0 } } };
  site = await openSite(path.join(tmpdir(), `fl-keys-${process.pid}`), { settings });
  const [first, , third] = site.hosts;
  if (first === undefined || third === undefined) throw new Error('three hosts are needed');
  [h1, h3] = [first, third];
}, LIMIT_MS);
afterAll(() => closeSite(site), LIMIT_MS);

/** As after a new installation, or as another machine behind the same address has it. */
async function changeHostKey(host: HostHandle): Promise<void> {
  await host.mustExec(['rm', KEY, `${KEY}.pub`]);
  await host.mustExec(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', KEY]);
  await host.killService('sshd', true);
}

/** Result of `fenceline …` on the management node. */
async function cli(args: readonly string[]) {
  const { code, stdout, stderr } = await site.cluster.cli(args);
  return { code, out: stdout, err: stderr };
}

/** The task of web1 is refused with this word of its peer; nothing was started. */
async function refusedWith(outcome: string): Promise<string> {
  let told = '';
  await eventually(`the refusal says ${outcome}`, async () => {
    told = (await cli(['task', 'show', 'web1'])).out;
    return told.includes(outcome);
  });
  const { items } = await site.cluster.api.listEvents(
    { kind: 'ha.start.sent', limit: 10 },
    { deadlineMs: 10_000 },
  );
  // One: the start by a person, before anything was hurt.
  expect(items).toHaveLength(1);
  const vm = await showVm(site, 'web1');
  expect(vm.runs.map(({ state }) => state)).toEqual(['running']);
  return told;
}

test(
  'a host whose SSH host key changed: its connect is refused, and what to do',
  async () => {
    await changeHostKey(h3);
    const says = ['SSH host key of h3', 'not the one pinned', 'remove it and add it again'];
    expect(notTold(await cli(['host', 'reconnect', 'h3', '--wait']), { code: 4, says })).toEqual(
      [],
    );
  },
  LIMIT_MS,
);

test(
  'F2, F23: a suspect that lets no sibling in: refused, `authFailed` is the reason',
  async () => {
    await runVm(site, 'web1', h1);
    await h1.mustExec(['sh', '-c', ': > /root/.ssh/authorized_keys']);
    await Promise.all([h1.killService('agent'), h1.killService('libvirtd')]);
    const told = await refusedWith('authFailed');
    for (const part of ['web1', 'h1', 'fenceline host confirm-dead h1', 'fenceline task retry'])
      expect(told).toContain(part);
  },
  LIMIT_MS,
);

test(
  'F2, F23: a suspect with another host key: refused, `hostKeyMismatch` is the reason',
  async () => {
    await changeHostKey(h1);
    expect(await refusedWith('hostKeyMismatch')).toContain('fenceline host confirm-dead h1');
  },
  LIMIT_MS,
);

test(
  'confirm-dead while there is life: exit 3, and how long to wait',
  async () => {
    const word = ['--typed-name', 'h1', '--reason', 'I think so'];
    const says = ["h1 can't be confirmed dead", 'last sign of life', '120 s are needed'];
    expect(notTold(await cli(['host', 'confirm-dead', 'h1', ...word]), { code: 3, says })).toEqual(
      [],
    );
  },
  LIMIT_MS,
);
