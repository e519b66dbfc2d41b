import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FenceVmFromPeerRsp, FenceVmsFromPeerRsp } from '@fenceline/protocol';

// The peer's work in the lab: h2 logs in to h1 over a real sshd and fences real qemus there. The
// code that runs in the hosts is the built agent, as in production.

const ROOT = join(import.meta.dirname, '../../../..');
const DIST = join(ROOT, 'packages/agent/dist/fence');
const dir = mkdtempSync(join(tmpdir(), 'fence-e2e-'));
const LAB = join(dir, 'lab');
const H1 = 'aaaaaaaa-0000-4000-8000-000000000001';
const H2 = 'aaaaaaaa-0000-4000-8000-000000000002';

const DRIVER = `
import { readFileSync } from 'node:fs';
import { silentLogger, systemClock, systemRandom } from '${ROOT}/packages/common/dist/index.js';
import { fileFenceAccess } from '${DIST}/adapters/fileFenceAccess.js';
import { ssh2Dialer } from '${DIST}/adapters/ssh2Dialer.js';
import { systemSigns } from '${DIST}/adapters/systemSigns.js';
import { gatedDialer } from '${DIST}/loginGate.js';
import { makePeerFence } from '${DIST}/peerFence.js';
const job = JSON.parse(readFileSync(0, 'utf8'));
const access = fileFenceAccess({
  runDir: '/run/fenceline',
  stateDir: '/var/lib/fenceline/agent',
  libvirtUri: 'qemu:///system',
  authorizedKeysFile: '/root/.ssh/authorized_keys',
});
const clock = systemClock;
const ssh = ssh2Dialer({ clock, privateKey: () => access.privateKey() });
const peer = makePeerFence({
  clock,
  random: systemRandom,
  log: silentLogger,
  dialer: gatedDialer(ssh, { clock, random: systemRandom, maxParallel: 8, maxAttempts: 4 }),
  signs: systemSigns(clock),
  lines: { linesTo: () => [] },
  own: { hostUuid: async () => '${H2}', addresses: async () => ['10.77.1.12', '10.77.2.12'] },
});
const context = { caller: { role: 'server', name: 'e2e' }, signal: new AbortController().signal };
const run = {
  key: () => access.publicKey(),
  install: () => access.install(job.siblings),
  one: () => peer.fenceVm(job.command, context),
  many: () => peer.fenceVms(job.command, context),
}[job.run];
console.log(JSON.stringify((await run()) ?? null));
`;

function lab(args: string[], input?: string): string {
  const result = spawnSync(join(ROOT, 'scripts/lab'), args, {
    env: { ...process.env, FENCELINE_LAB_DIR: LAB },
    encoding: 'utf8',
    timeout: 60_000,
    ...(input === undefined ? {} : { input }),
  });
  if (result.status !== 0 && args[0] !== 'exec')
    throw new Error(`lab ${args.join(' ')}: ${result.stderr}${result.stdout}`);
  return result.stdout.trim();
}
const exec = (host: string, command: string): string =>
  lab(['exec', host, '--', 'sh', '-c', command]);
const drive = (host: string, job: object): unknown =>
  JSON.parse(
    lab(['exec', host, '--', 'node', join(dir, 'driver.mjs')], JSON.stringify(job)) || 'null',
  );

let hostKey = '';
const uuids = new Map<string, string>();
const vm = (name: string): { vmUuid: string; fenceEpoch: number; disks: object[] } => ({
  vmUuid: uuids.get(name) ?? '',
  fenceEpoch: 7,
  disks: [{ kind: 'file', source: `/srv/shared/${name}.img` }],
});
const target = (over: object = {}): object => ({
  targetHostUuid: H1,
  targetHostIp: '10.77.1.11',
  targetAddresses: ['10.77.1.11', '10.77.2.11'],
  targetAgentPort: 7070,
  targetHostSshPort: 22,
  targetHostUsername: 'root',
  targetHostKeys: [hostKey],
  controls: [{ hostUuid: H2, addresses: ['10.77.1.13', '10.77.2.13'] }],
  sshTimeoutSec: 10,
  connectTimeoutMs: 3_500,
  killGraceMs: 300,
  ...over,
});
const fence = (name: string, over: object = {}): FenceVmFromPeerRsp =>
  drive('h2', { run: 'one', command: { ...target(over), ...vm(name) } }) as FenceVmFromPeerRsp;
const state = (name: string): string => exec('h1', `virsh domstate ${name}`);

beforeAll(() => {
  writeFileSync(join(dir, 'driver.mjs'), DRIVER);
  lab(['up', '3']);
  for (const name of ['web1', 'web2']) {
    lab(['vm', 'create', name]);
    uuids.set(name, exec('h1', `virsh domuuid ${name}`).split('\n')[0] ?? '');
  }
  exec('h1', `mkdir -p /run/fenceline; echo ${H1} > /run/fenceline/host`);
  hostKey = exec('h1', 'cut -d" " -f1,2 /etc/ssh/ssh_host_ed25519_key.pub');
  const fencePublicKey = drive('h2', { run: 'key' }) as string;
  const siblings = [{ hostUuid: H2, addresses: ['10.77.1.12', '10.77.2.12'], fencePublicKey }];
  drive('h1', { run: 'install', siblings });
}, 90_000);

afterAll(() => {
  lab(['down', '--purge']);
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

describe('fencing over a real sshd', () => {
  test('F19, F22: the qemu is killed and proven gone, another VM lives on', () => {
    lab(['vm', 'start', 'web1', 'h1']);
    lab(['vm', 'start', 'web2', 'h1']);
    const rsp = fence('web1');
    expect(rsp).toMatchObject({
      success: true,
      outcome: 'confirmedDead',
      qemuConfirmedDead: true,
      hostUuid: H1,
      barrier: 'disk',
      disks: [{ source: '/srv/shared/web1.img', drained: 'synced' }],
    });
    expect(rsp.bootId).toBe(exec('h1', 'cat /proc/sys/kernel/random/boot_id'));
    expect(state('web1')).toBe('shut off');
    expect(state('web2')).toBe('running');
  });

  test('F22: asked again it finds nothing and says so', () => {
    expect(fence('web1')).toMatchObject({ outcome: 'nothingFound', qemuConfirmedDead: true });
  });

  test('F29: the key opens nothing but the fence program', () => {
    const key = '/var/lib/fenceline/agent/fence-key';
    const ssh = `ssh -o StrictHostKeyChecking=no -o BatchMode=yes -i ${key} root@10.77.1.11`;
    expect(exec('h2', `echo x | ${ssh} 'id; virsh list'`)).toMatch(
      /^fenceline-fence 1 line=1\s+refused version/,
    );
    expect(exec('h3', `${ssh} id 2>&1`)).not.toContain('uid=0');
  });

  test('F17: many VMs in one session', () => {
    lab(['vm', 'start', 'web1', 'h1']);
    const command = { ...target(), vms: [vm('web1'), vm('web2')] };
    const rsp = drive('h2', { run: 'many', command }) as FenceVmsFromPeerRsp;
    expect(rsp.verdicts.map(({ outcome }) => outcome)).toEqual(['confirmedDead', 'confirmedDead']);
  });

  test('F20a: a process that has the image open for writing keeps the VM from being dead', () => {
    exec(
      'h1',
      'exec 3>>/srv/shared/web1.img; setsid sleep 600 >/dev/null 2>&1 & echo $! > /run/writer',
    );
    expect(fence('web1')).toMatchObject({
      outcome: 'otherWriter',
      qemuConfirmedDead: false,
      otherWriters: [{ comm: 'sleep', source: '/srv/shared/web1.img' }],
    });
    exec('h1', 'kill $(cat /run/writer)');
  });

  test('F21: a write in flight on hung storage: alive, whatever pgrep and virsh say', async () => {
    lab(['vm', 'start', 'web1', 'h1']);
    await new Promise((done) => setTimeout(done, 1_000));
    lab(['fault', 'h1', 'storage', 'rohang']);
    await new Promise((done) => setTimeout(done, 500));
    expect(fence('web1', { sshTimeoutSec: 5 })).toMatchObject({
      outcome: 'stillAlive',
      qemuStillAlive: true,
      qemuConfirmedDead: false,
    });
    expect(exec('h1', `pgrep -f '[q]emu.*${uuids.get('web1')}' || echo none`)).toBe('none');
    expect(fence('web1', { sshTimeoutSec: 3 }).outcome).toBe('stillAlive');
    lab(['fault', 'h1', 'storage', 'ok']);
    await new Promise((done) => setTimeout(done, 500));
    expect(fence('web1').qemuConfirmedDead).toBe(true);
  });

  test.each([['libvirtd-off'], ['libvirtd-stop']])(
    'F21: with %s the qemu is still proven dead',
    (fault) => {
      lab(['vm', 'start', 'web1', 'h1']);
      lab(['fault', 'h1', fault]);
      expect(fence('web1')).toMatchObject({ outcome: 'confirmedDead' });
      lab(['fault', 'h1', 'libvirtd-ok']);
      for (let left = 50; left > 0 && state('web1') !== 'shut off'; left -= 1)
        exec('h1', 'sleep 0.2');
      expect(state('web1')).toBe('shut off');
    },
    40_000,
  );

  test('F23: a host key that is not pinned, a key that is not let in', () => {
    const wrong = hostKey.replace(/.{8}$/, 'AAAAAAAA');
    expect(fence('web1', { targetHostKeys: [wrong] }).outcome).toBe('hostKeyMismatch');
    expect(fence('web1', { targetHostUsername: 'nobody' }).outcome).toBe('authFailed');
  });
});

describe('F23: what a peer says of a host that it can not log in to', () => {
  test('another address is as good: cut from the management net, fenced over the storage net', () => {
    lab(['fault', 'h1', 'mgmt-cut']);
    try {
      expect(fence('web1')).toMatchObject({ outcome: 'nothingFound', qemuConfirmedDead: true });
      const only = { targetAddresses: [], controls: [{ hostUuid: H2, addresses: ['10.77.1.13'] }] };
      expect(fence('web1', only)).toMatchObject({ outcome: 'unreachable' });
    } finally {
      lab(['fault', 'h1', 'mgmt-ok']);
    }
  }, 40_000);

  test('F23: no sign of life on any address, and h3 answers: unreachable', () => {
    lab(['power', 'h1', 'off']);
    expect(fence('web1')).toMatchObject({ outcome: 'unreachable', targetHostUnreachable: true });
    expect(fence('web1', { controls: [] })).toMatchObject({ targetHostUnreachable: false });
    lab(['fault', 'h2', 'mgmt-cut']);
    expect(fence('web1')).toMatchObject({ targetHostUnreachable: false });
  }, 60_000);
});
