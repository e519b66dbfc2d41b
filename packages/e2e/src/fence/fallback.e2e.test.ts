import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { Secret, sealFor } from '@fenceline/common';
import {
  agentRoutes,
  credentialContext,
  type LoginText,
  type SealedCredential,
} from '@fenceline/protocol';
import { eventually } from '../agent/agentLab.js';
import { FenceSite, labDir, outcomeOf, type SiteVm } from './fenceSite.js';

jest.setTimeout(60_000);

// F30: h1's authorized_keys knows no sibling. The server holds a login, and seals it for h2.

const PASSWORD = `canary ${Math.random().toString(36)} 'quoted" $(id)`;
const PORT = 2_022;

let site: FenceSite;
let vm: SiteVm;

beforeAll(async () => {
  site = await FenceSite.up(labDir(tmpdir(), 'fallback'));
  vm = await site.newVm('web1');
  const { host } = site.suspect;
  // /etc is the host's own, so root's password is, too.
  const prepare = `
    chpasswd; : >/root/.ssh/authorized_keys; ssh-keygen -q -t ed25519 -N 'a phrase' -f /root/other
    cat /root/other.pub >/root/.ssh/other_keys
    sed 's/^Port .*/Port ${PORT}/;s/^PermitRootLogin.*/PermitRootLogin yes/;s/^PasswordAuth.*/PasswordAuthentication yes/;/^PidFile/d' /etc/ssh/sshd_config >/run/with-password
    echo 'AuthorizedKeysFile /root/.ssh/authorized_keys /root/.ssh/other_keys' >>/run/with-password`;
  await host.mustExec(['sh', '-c', prepare], { input: `root:${PASSWORD}\n` });
  await host.startService('password', {
    command: ['/usr/sbin/sshd', '-D', '-f', '/run/with-password'],
  });
});
afterAll(() => site.agents.lab.purge());

async function sealed(login: LoginText, sealer = site.peer): Promise<SealedCredential> {
  const { suspect, agents } = site;
  const targetHostUuid = suspect.hostUuid;
  const { keyId, publicKey } = await agents.must(sealer, agentRoutes.credentialKey, {
    targetHostUuid,
  });
  const about = { keyId, peerUuid: sealer.hostUuid, targetHostUuid };
  return {
    keyId,
    ...sealFor(publicKey, new Secret(JSON.stringify(login)), credentialContext(about)),
  };
}

const on = { targetHostSshPort: PORT };
const password: LoginText = { kind: 'password', password: PASSWORD };

test('F30: a host without an entry is fenced by a password login, with barrier and drain', async () => {
  const { host, hostUuid } = site.suspect;
  await site.start(vm, 7);
  expect(outcomeOf(await site.fence(vm, on))).toBe('authFailed');
  const before = await host.mustExec([
    'find',
    '/root',
    '/etc',
    '/usr/local',
    '-newer',
    '/run/with-password',
  ]);
  const credential = await sealed(password);
  const fenced = await site.fence(vm, { ...on, credential });
  expect(fenced.body).toMatchObject({
    ...{ success: true, outcome: 'confirmedDead', qemuConfirmedDead: true, barrier: 'disk' },
    disks: [{ source: vm.disk, drained: 'synced' }],
    hostUuid,
  });
  // The fence is over when the process is; libvirt looks for its end every 200 ms only.
  const state = () => host.mustExec(['virsh', 'domstate', vm.vmUuid]);
  await eventually('libvirt knows it', async () => (await state()).includes('shut off'));
  expect(await host.mustExec(['cat', `/run/fenceline/barriers/${vm.vmUuid}`])).toContain('7');
  expect(
    await host.mustExec(['find', '/root', '/etc', '/usr/local', '-newer', '/run/with-password']),
  ).toBe(before);
  // Asked twice it says the same, with another credential; the old one opens nothing any more.
  const again = await site.fence(vm, { ...on, credential: await sealed(password) });
  expect(again.body).toMatchObject({ outcome: 'nothingFound', qemuConfirmedDead: true });
  expect(outcomeOf(await site.fence(vm, { ...on, credential }))).toBe('authFailed');
});

test('F30: a private key with a phrase; a wrong password; a credential for another peer', async () => {
  const { host } = site.suspect;
  const privateKey = await host.mustExec(['cat', '/root/other']);
  const key: LoginText = { kind: 'privateKey', privateKey, passphrase: 'a phrase' };
  const wrong: LoginText = { kind: 'password', password: `${PASSWORD}x` };
  const credentials = [
    await sealed(key),
    await sealed({ ...key, passphrase: 'another' }),
    await sealed(wrong),
    await sealed(password, site.suspect),
  ];
  const outcomes = await site.fenceAll(
    credentials.map((credential) => site.order(vm, { ...on, credential })),
  );
  expect(outcomes.map(outcomeOf)).toEqual([
    'nothingFound',
    'authFailed',
    'authFailed',
    'authFailed',
  ]);
});

test('F30: what can not set its barrier there says nothing of death', async () => {
  const { host } = site.suspect;
  await host.mustExec([
    'mount',
    '--bind',
    '-o',
    'ro',
    '/run/fenceline/barriers',
    '/run/fenceline/barriers',
  ]);
  try {
    const credential = await sealed(password);
    const { body } = await site.fence(vm, { ...on, credential });
    expect([body.outcome, body.qemuConfirmedDead]).toEqual(['controlFailed', false]);
  } finally {
    await host.mustExec(['umount', '/run/fenceline/barriers']);
  }
});

test('F28: the password stands in no log, no process and no file of peer or suspect', async () => {
  const needle = PASSWORD.slice(0, 16);
  for (const { host } of site.agents.hosts) {
    const where = '/var/log /var/lib/fenceline /run /root /etc';
    const files = await host.exec(['grep', '-rlaF', '--', needle, ...where.split(' ')], {
      timeoutMs: 20_000,
    });
    expect(files.stdout).toBe('');
    const processes =
      'for f in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do tr "\\\\0" " " <$f; done 2>/dev/null';
    expect(await host.mustExec(['sh', '-c', processes])).not.toContain(needle);
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(host.logOf('agent'), 'utf8')).not.toContain(needle);
  }
});
