import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { whyNoFault, type HostHandle } from '@fenceline/lab';
import { endTools, startTool, WRITERS } from '../fence/besideTheVm.js';
import { allOnline, closeSite, eventually, openSite, runVm, showVm, type Site } from './site.js';

// F27 in the lab, agents and server as programs: the second way in, on hosts whose sshd is stuck, and
// on one whose memory has run out.

const LIMIT_MS = 240_000;
const LIMIT = { deadlineMs: 30_000 };
const dir = path.join(tmpdir(), `fl-door-${process.pid}`);

let site: Site;
let h1: HostHandle;

/** Both siblings keep a line over each way to h1, and it holds all its tokens. */
async function ready(): Promise<void> {
  await eventually('both ways stand', async () => {
    const { canBeFencedBy, orderTokens } = await site.cluster.api.showHost({ host: 'h1' }, LIMIT);
    return (
      orderTokens === 16 &&
      canBeFencedBy.length === 2 &&
      canBeFencedBy.every(({ ways }) => ways.includes('ssh') && ways.includes('door'))
    );
  });
}

/** The VM runs elsewhere, writes, and nobody else has written since. */
async function runsElsewhere(name: string): Promise<void> {
  await eventually(`${name} runs elsewhere`, async () => {
    const vm = await showVm(site, name);
    return vm.state === 'Running' && vm.hostName !== 'h1' && vm.openTaskUuid === null;
  });
  const { counter } = site.lab.check(name);
  await eventually(`the new life of ${name} has written`, async () => {
    return (site.lab.check(name).counter ?? 0) > (counter ?? 0) + 20;
  });
  expect(site.lab.check(name).verdict).toBe('oneWriter');
}

/** How fences of this VM ended, as its peers logged it: way and outcome. */
async function fencesOf(vmUuid: string): Promise<string[]> {
  const logs = ['h2', 'h3'].map((name) => readFile(site.lab.host(name).logOf('agent'), 'utf8'));
  return (await Promise.all(logs))
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.includes('fence ended') && line.includes(`vm=${vmUuid}`))
    .map((line) => `${/way\W+(\w+)/.exec(line)?.[1]} ${/outcome\W+(\w+)/.exec(line)?.[1]}`);
}

const pidOf = async (program: string): Promise<string> =>
  (await h1.mustExec(['pgrep', '-o', '-f', `[/]run/fenceline/bin/${program} `])).trim();

/** What is said to somebody who comes to the door with these files, and says this. */
async function knock(files: Record<string, string>, words: string): Promise<string> {
  const script = path.join(dir, 'knock.mjs');
  writeFileSync(
    script,
    `import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
const files = Object.entries(${JSON.stringify(files)});
const identity = Object.fromEntries(files.map(([name, file]) => [name, readFileSync(file, 'utf8')]));
const socket = connect({ host: '${h1.address}', port: 7071, rejectUnauthorized: false, ...identity });
socket.on('error', () => undefined);
socket.on('data', (said) => process.stdout.write(said));
socket.end(${JSON.stringify(words)});
setTimeout(() => process.exit(), 8_000).unref();
`,
  );
  return (await site.lab.host('h2').exec(['node', script], { timeoutMs: 10_000 })).stdout;
}

beforeAll(async () => {
  site = await openSite(dir);
  const [first] = site.hosts;
  if (first === undefined) throw new Error('no host');
  h1 = first;
}, LIMIT_MS);
afterAll(async () => {
  await closeSite(site);
}, LIMIT_MS);

describe('F27: who comes through the door', () => {
  const TLS = '/etc/fenceline/tls';
  const own = { cert: `${TLS}/agent.pem`, key: `${TLS}/agent.key` };
  const order = (token: string): string =>
    `fenceline-peer 1\nfence ${'ab'.repeat(8)} token=${token} deadline_ms=3000 vms=1 grace_ms=0\n` +
    `vm 11111111-2222-4333-8444-555555555555 epoch=1\n`;

  test('a sibling does, and is asked for a token that lies there', async () => {
    const said = await knock(own, order('0'.repeat(32)));
    expect(said).toContain('fenceline-fence 1 line=1');
    expect(said).toContain('refused bad-order-token');
    expect(await knock(own, order('-'))).toContain('refused bad-order-token');
    expect(await knock(own, order('../../../etc/passwd'))).toMatch(/refused/);
  });

  test.each<[string, () => Record<string, string>]>([
    ['without a certificate', () => ({})],
    [
      'with that of the server',
      () => {
        const at = (name: string): string => site.lab.mgr.pathOf(`${TLS}/server.${name}`);
        return { cert: at('pem'), key: at('key') };
      },
    ],
    [
      'with one that somebody made himself',
      () => ({ cert: path.join(dir, 'x.pem'), key: path.join(dir, 'x.key') }),
    ],
  ])('nobody %s', async (_who, files) => {
    const subject = ['-nodes', '-subj', '/OU=sibling/CN=h2', '-days', '1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const out = ['-keyout', `${dir}/x.key`, '-out', `${dir}/x.pem`];
    await site.lab.mgr.mustExec(['openssl', 'req', '-x509', ...curve, ...subject, ...out]);
    expect(await knock(files(), order('-'))).toBe('');
  });
});

test(
  'F27: the door outlives its agent, which adopts it; with every sshd stopped the fence comes through it',
  async () => {
    await ready();
    await runVm(site, 'web1', h1);
    const before = await Promise.all(['fenceline-door', 'fenceline-fence'].map(pidOf));
    await h1.killService('agent', true);
    await eventually('the agent is back', async () => {
      const { agentVersion, status } = await site.cluster.api.showHost({ host: 'h1' }, LIMIT);
      return agentVersion !== null && status === 'Connected';
    });
    await allOnline(site);
    await ready();
    expect(await Promise.all(['fenceline-door', 'fenceline-fence'].map(pidOf))).toEqual(before);
    await Promise.all([h1.killService('agent'), h1.killService('libvirtd')]);
    await h1.mustExec(['pkill', '-STOP', 'sshd']);
    const { uuid } = await showVm(site, 'web1');
    await runsElsewhere('web1');
    expect(await fencesOf(uuid)).toContain('door confirmedDead');
    await h1.mustExec(['pkill', '-CONT', 'sshd']);
    await h1.fault('clear');
    await allOnline(site);
  },
  LIMIT_MS,
);

test(
  'F20a: as long as a backup writes to the disk the VM is started nowhere; when it has ended it is',
  async () => {
    const { cluster, hosts } = site;
    const [backup] = WRITERS;
    if (backup === undefined) throw new Error('no backup');
    await ready();
    await runVm(site, 'web3', h1);
    const { uuid } = await showVm(site, 'web3');
    const pid = await startTool(h1, backup, '/srv/shared/web3.img');
    await Promise.all([h1.killService('agent'), h1.killService('libvirtd')]);
    await eventually('the task is refused and names who writes', async () => {
      const { stdout } = await cluster.cli(['task', 'show', 'web3']);
      return stdout.includes(`open for writing (${backup.comm} with pid ${pid})`);
    });
    expect(await fencesOf(uuid)).toContainEqual(expect.stringMatching(/ otherWriter$/));
    const qemus = (host: HostHandle) => host.exec(['pgrep', '-f', `[q]emu-system.*${uuid}`]);
    expect((await Promise.all(hosts.map(qemus))).map(({ code }) => code)).toEqual([1, 1, 1]);
    await endTools(h1);
    await cluster.cli(['task', 'retry', 'web3']);
    await runsElsewhere('web3');
    await h1.fault('clear');
    await allOnline(site);
  },
  LIMIT_MS,
);

const whyNotFull = whyNoFault('memory-full');
(whyNotFull === undefined ? test : test.skip)(
  `F26, F27: a host whose memory has run out: no login, and it is fenced all the same${whyNotFull === undefined ? '' : ` (${whyNotFull})`}`,
  async () => {
    await ready();
    await runVm(site, 'web2', h1);
    const { uuid } = await showVm(site, 'web2');
    // A qemu that can run may crash by itself for lack of memory; this one is left behind.
    await h1.mustExec(['pkill', '-STOP', '-f', `[q]emu-system.*${uuid}`]);
    await h1.fault('memory-full');
    const login = ['-o', 'ConnectTimeout=3', '-o', 'StrictHostKeyChecking=no', 'true'];
    const ssh = ['timeout', '5', 'ssh', '-o', 'BatchMode=yes', h1.address, ...login];
    expect((await site.lab.mgr.exec(ssh)).code).not.toBe(0);
    await runsElsewhere('web2');
    // A line over SSH may have killed it before, but has no memory to see that it is dead.
    const fences = await fencesOf(uuid);
    const proofs = fences.filter((one) => /confirmedDead|nothingFound/.test(one));
    expect(proofs).toEqual([expect.stringMatching(/^door /)]);
    await h1.fault('memory-ok');
    await allOnline(site);
  },
  LIMIT_MS,
);
