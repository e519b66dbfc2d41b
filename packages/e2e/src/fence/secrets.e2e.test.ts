import { readFileSync } from 'node:fs';
import path from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, expect, test } from '@jest/globals';
import type { NodeHandle } from '@fenceline/lab';
import { placesOf, tokensOf } from './keptTokens.js';
import { closeSite, eventually, openSite, runVm, showVm, type Site } from '../failover/site.js';

// F28: the whole product at work, with secrets that would be recognised wherever they turned up:
// refused requests, logins that fail, a fence by a stored login, changed keys, a crash report.

const LIMIT_MS = 240_000;
const LIMIT = { deadlineMs: 30_000 };
const PASSWORD = `canary-password-${process.pid}-Zq7`;
const POWER = `canary-power-${process.pid}-Zq7`;
const REPORTS = '/var/log/reports';

const CONTROL = `control-${process.pid}-Zq7`;

let site: Site | undefined;
afterAll(() => closeSite(site), LIMIT_MS);

/** A line from the middle of a private key: nothing else on the machine holds it. */
const middleOf = (key: string): string => key.trim().split('\n')[2] ?? 'no key';

/** Looks at every process of a node, many times, for any of these texts; tells the pid and the file. */
async function watchProcesses(node: NodeHandle): Promise<void> {
  const loop =
    'cd /proc; while :; do grep -laFf /root/needles [0-9]*/cmdline [0-9]*/environ 2>/dev/null; sleep 0.05; done';
  await node.startService('sampler', { command: ['bash', '-c', loop] });
}

test(
  'F28, F29a: no password, no private key and no unused order token in logs, events, history, audit, database, processes, reports',
  async () => {
    const env = { NODE_OPTIONS: `--report-on-signal --report-directory=${REPORTS}` };
    site = await openSite(path.join(tmpdir(), `fl-secrets-${process.pid}`), {
      serverEnvironment: env,
      // Without fence lines: one that stands would need no login.
      settings: { ha: { fenceLine: { perHost: 0 } } },
    });
    const { cluster, hosts, lab } = site;
    const { api } = cluster;
    const [h1, h2] = hosts;
    if (h1 === undefined || h2 === undefined) throw new Error('three hosts are needed');
    const { mgr } = lab;
    await mgr.mustExec([
      'sh',
      '-c',
      `mkdir -p ${REPORTS}; ssh-keygen -q -t ed25519 -N '' -f /root/login`,
    ]);
    const loginKey = await mgr.mustExec(['cat', '/root/login']);
    const fenceKeys = () =>
      Promise.all(
        hosts.map((host) => host.mustExec(['cat', '/var/lib/fenceline/agent/fence-key'])),
      );
    const before = await fenceKeys();
    const needles = [PASSWORD, POWER, middleOf(loginKey), ...before.map(middleOf)];
    expect(new Set(needles).size).toBe(6);
    let tokens: string[] = [];
    await eventually('every host holds its order tokens', async () => {
      tokens = await tokensOf(hosts);
      return new Set(tokens).size === 16 * hosts.length;
    });
    for (const node of [mgr, h1, h2]) {
      await node.mustExec(['sh', '-c', 'umask 077; cat >/root/needles'], {
        input: [...needles, ...tokens, CONTROL].join('\n'),
      });
      await watchProcesses(node);
    }
    const seenBefore = await provenWatchers([mgr, h1, h2]);

    // Requests that are refused, with the secrets in them.
    const device = { agent: 'fence_lab', parameters: { password: POWER } };
    const again = Object.assign({}, cluster.addRequest(h1, { power: false }), {
      powerDevice: device,
    });
    await expect(api.addHost(again, LIMIT)).rejects.toThrow(/belongs to host h1/);
    const broken = { agent: `/x y ${POWER}`, parameters: { password: `${POWER}\n` } };
    const refusals = [
      api.addHost(Object.assign({}, again, { name: 'h9', powerDevice: broken }), LIMIT),
      api.setHostLogin({ host: 'h1', kind: 'password', secret: PASSWORD.repeat(2_000) }, LIMIT),
      api.setHostLogin({ host: 'h7', kind: 'password', secret: PASSWORD }, LIMIT),
      api.setHostLogin({ host: 'h1', kind: PASSWORD as 'password', secret: PASSWORD }, LIMIT),
    ];
    for (const refusal of refusals) await expect(refusal).rejects.not.toThrow(/canary/);

    // A leftover qemu on a host that knows no sibling; first the stored login is wrong, then right.
    await mgr.mustExec(['sh', '-c', 'umask 077; cat >/root/password'], { input: `${PASSWORD}\n` });
    const wrong = await cluster.cli([
      'host',
      'set-login',
      'h1',
      '--password-file',
      '/root/password',
    ]);
    expect([wrong.code, `${wrong.stdout}${wrong.stderr}`]).toEqual([
      0,
      expect.not.stringContaining('canary'),
    ]);
    await runVm(site, 'web1', h1);
    await Promise.all([h1.killService('agent'), h1.killService('libvirtd')]);
    const entry = await mgr.mustExec(['cat', '/root/login.pub']);
    await h1.mustExec(['sh', '-c', 'cat >/root/.ssh/authorized_keys'], { input: entry });
    await eventually('the fence is refused', async () => {
      const { items } = await api.listEvents({ limit: 200 }, LIMIT);
      return items.some(({ text }) => text.includes('authFailed'));
    });
    const right = await cluster.cli(['host', 'set-login', 'h1', '--key-file', '/root/login']);
    expect(right.code).toBe(0);
    await cluster.cli(['task', 'retry', 'web1']);
    await eventually('web1 runs elsewhere, fenced by the stored login', async () => {
      const vm = await showVm({ ...(site as Site) }, 'web1');
      return vm.state === 'Running' && vm.hostName !== 'h1';
    });
    expect((await cluster.cli(['host', 'rotate-key', 'h2', '--force'])).code).toBe(0);
    needles.push(...(await fenceKeys()).map(middleOf));
    await cluster.cli(['host', 'remove-login', 'h1']);

    // A power device that is stored, and fails: its password is sealed in the database.
    await api.setHostPower({ host: 'h1', levels: [{ devices: [device] }] }, LIMIT);
    const verified = await cluster.cli(['host', 'power-verify', 'h1']);
    expect([verified.code === 0, `${verified.stdout}${verified.stderr}`]).toEqual([
      false,
      expect.not.stringContaining('canary'),
    ]);

    // A report as Node writes it when a program dies: stacks, environment, handles.
    const server = (await mgr.status()).services.find(({ name }) => name === 'server');
    await mgr.mustExec(['kill', '-USR2', String(server?.pid)]);
    await eventually('the report is written', async () => {
      return (
        (await mgr.mustExec(['sh', '-c', `cat ${REPORTS}/* 2>/dev/null | wc -c`])).trim() !== '0'
      );
    });

    const told: Record<string, string> = {};
    for (const words of [
      'events --limit 500',
      'task list',
      'task show web1',
      'host show h1',
      'status',
    ])
      told[words] = JSON.stringify(await cluster.cli([...words.split(' '), '--json']));
    told['audit rows'] = JSON.stringify(await api.listAudit({ limit: 200 }, LIMIT));
    told['history'] = JSON.stringify(await api.listHistory({ limit: 50 }, LIMIT));
    told['report'] = await mgr.mustExec(['sh', '-c', `cat ${REPORTS}/*`]);
    const database = ['sh', '-c', 'cat /var/lib/fenceline/server/fenceline.db* | base64 -w0'];
    told['database'] = Buffer.from(await mgr.mustExec(database), 'base64').toString('latin1');
    for (const node of [mgr, ...hosts]) {
      told[`processes of ${node.name}`] = ['mgr', 'h1', 'h2'].includes(node.name)
        ? readFileSync(node.logOf('sampler'), 'utf8')
        : '';
      for (const service of ['server', 'agent', 'sshd', 'libvirtd'])
        told[`${service} of ${node.name}`] = logOf(node, service);
      const where = `grep -rlaFf - /var/log /run /var/lib/fenceline /etc 2>/dev/null || true`;
      told[`files of ${node.name}`] = await node.mustExec(['sh', '-c', where], {
        input: needles.join('\n'),
      });
    }
    const keyFile = '/var/lib/fenceline/agent/fence-key\n';
    for (const { name } of hosts) expect(told[`files of ${name}`]).toBe(keyFile);
    expect(told['files of mgr']).toBe('');

    // Order tokens are names in one folder, and stand nowhere else; the database has them sealed.
    // Those of h1 were handed to its siblings meanwhile, and never used.
    expect(await tokensOf(hosts)).toEqual(tokens);
    const folders = hosts.map(({ name }) => `${name}: names in /run/fenceline/tokens`);
    expect(await placesOf(tokens, { mgr, hosts })).toEqual(folders);
    expect(await placesOf(['host.login.set'], { mgr, hosts })).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^mgr: column /),
        'mgr: text in /var/lib/fenceline/server/fenceline.db',
      ]),
    );
    for (const name of ['mgr', 'h1', 'h2'])
      expect(told[`processes of ${name}`]).toBe(seenBefore.get(name));
    const leaks = Object.entries(told)
      .filter(([, text]) => [...needles, ...tokens].some((secret) => text.includes(secret)))
      .map(([where]) => where);
    expect(leaks).toEqual([]);
    // What was searched is what was meant: the story is in it.
    expect(told['events --limit 500']).toContain('authFailed');
    expect(told['agent of h2']).toContain('HA pre-fence');
    expect(told['audit rows']).toContain('host.login.set');
  },
  LIMIT_MS,
);

/** What each watcher has told after it saw a process that bears the control in its arguments. */
async function provenWatchers(nodes: readonly NodeHandle[]): Promise<Map<string, string>> {
  const told = new Map<string, string>();
  for (const node of nodes) {
    await eventually(`the watcher of ${node.name} sees the control`, async () => {
      await node.mustExec(['bash', '-c', 'sleep 0.3; true', CONTROL]);
      return logOf(node, 'sampler') !== '';
    });
    // The last look may still be under way.
    await node.mustExec(['sleep', '0.5']);
    told.set(node.name, logOf(node, 'sampler'));
  }
  return told;
}

function logOf(node: NodeHandle, service: string): string {
  try {
    return readFileSync(node.logOf(service), 'utf8');
  } catch {
    return '';
  }
}
