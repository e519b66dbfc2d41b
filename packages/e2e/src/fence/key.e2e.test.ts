import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { agentRoutes } from '@fenceline/protocol';
import type { HostHandle } from '@fenceline/lab';
import { eventually } from '../agent/agentLab.js';
import { FenceSite, labDir, outcomeOf, type SiteVm } from './fenceSite.js';
import { askForChannels, attempt, LOOT, sshLine, THEFTS } from './thief.js';

jest.setTimeout(90_000);

// F29: somebody has taken the private key of h2. What can be done with it on h1?

const KEY = '/var/lib/fenceline/agent/fence-key';
/** What the program may write below; libvirt and sshd keep their own books meanwhile. */
const MAY_CHANGE =
  /^\/(?:run|var\/lib)\/(?:fenceline|libvirt)\b|^\/var\/(?:log|cache)\/|^\/run\/(?:utmp|lock|user|motd)/;

let site: FenceSite;
let vm: SiteVm;
let h1: HostHandle;
let h2: HostHandle;

beforeAll(async () => {
  site = await FenceSite.up(labDir(tmpdir(), 'key'), 3);
  [h1, h2] = [site.suspect.host, site.peer.host];
  vm = await site.newVm('web1');
});
afterAll(() => site.agents.lab.purge());

/** Everything that h1 keeps, with what is in it. */
async function contents(): Promise<string[]> {
  const find = `find /etc /var /root /run /srv -xdev -type f -size -1M -exec sha256sum {} + 2>/dev/null; find /etc /var /root /run /srv -xdev -printf '%y %m %u %p\\n'`;
  const text = await h1.mustExec(['sh', '-c', find]);
  return text
    .split('\n')
    .filter((line) => !MAY_CHANGE.test(line.slice(line.indexOf('/'))))
    .toSorted();
}

test('F29: key, entry and program belong to root alone', async () => {
  const files = [KEY, '/root/.ssh/authorized_keys'];
  const modes = await h1.mustExec([
    'stat',
    '-c',
    '%a %U',
    ...files,
    '/root/.ssh',
    '/var/lib/fenceline/agent',
  ]);
  expect(modes.trim().split('\n')).toEqual(['600 root', '600 root', '700 root', '700 root']);
  const entries = await h1.mustExec(['cat', '/root/.ssh/authorized_keys']);
  const ours = entries.split('\n').filter((line) => line.includes('fenceline:'));
  expect(ours).toHaveLength(2);
  for (const line of ours)
    expect(line).toMatch(
      /^restrict,from="10\.77\.1\.1[23]",command="[^"]+" ssh-ed25519 \S+ fenceline:\S+$/,
    );
  const writable = `find /run/fenceline /var/lib/fenceline -perm /022 ! -type l ! -type s`;
  expect(await h1.mustExec(['sh', '-c', writable])).toBe('');
});

test('F29, F18: the key opens no shell, runs no command, forwards nothing, writes nowhere', async () => {
  const door = { address: h1.address, key: KEY };
  const before = await contents();
  const seen: Record<string, unknown> = {};
  for (const theft of THEFTS) {
    const { output } = await attempt(h2, door, theft);
    seen[theft.name] = {
      shell: /uid=|SSH_AUTH|DISPLAY=|ssh-\w+\/agent/.test(output),
      terminal: /\$ |# /.test(output),
    };
  }
  expect(seen).toEqual(
    Object.fromEntries(THEFTS.map(({ name }) => [name, { shell: false, terminal: false }])),
  );
  const line = sshLine(h1.address, KEY).replace('root@', '-q root@');
  const copies = [
    `scp -O ${line.replace(/ root@\S+$/, '')} /etc/hostname root@${h1.address}:${LOOT}`,
    `scp ${line.replace(/ root@\S+$/, '')} root@${h1.address}:/etc/shadow ${LOOT}`,
    `echo 'put /etc/hostname ${LOOT}' | sftp -b - ${line}`,
    `ssh -o ExitOnForwardFailure=yes -N -R 5555:127.0.0.1:22 ${line}`,
    `ssh -W 127.0.0.1:22 ${line}`,
    `ssh -N -o ControlMaster=yes -o ControlPath=/run/thief -o ExitOnForwardFailure=yes -R /run/loot.sock:/run/x ${line}`,
  ];
  for (const copy of copies) {
    const { code, stdout } = await h2.exec(['sh', '-c', `timeout 5 ${copy} </dev/null`], {
      timeoutMs: 9_000,
    });
    expect([copy, code === 0, stdout.includes('SSH-2.0')]).toEqual([copy, false, false]);
  }
  const { granted, said } = await askForChannels(h2, door);
  expect(granted).toEqual([]);
  expect(said).not.toMatch(/uid=/);
  expect((await h2.exec(['test', '-e', LOOT])).code).not.toBe(0);
  expect(await contents()).toEqual(before);
});

test('F29: no agent and no display is forwarded: sshd opens no socket for them', async () => {
  const programs = async (): Promise<number> =>
    Number((await h1.exec(['pgrep', '-fc', 'bin/fenceline-fence'])).stdout);
  const sockets = async (): Promise<string> => h1.mustExec(['sh', '-c', 'ss -Hlnxtp | grep sshd']);
  const [before, listening] = [await programs(), await sockets()];
  const session = attempt(
    h2,
    { address: h1.address, key: KEY },
    { options: '-A -X', before: 'sleep 2 | ssh-agent' },
  );
  await eventually('the session has its program', async () => (await programs()) > before);
  expect(await sockets()).toBe(listening);
  await session;
});

/** What a thief may write to the program. `u` is a VM that runs there. */
function ordersOf(u: string): Record<string, string | Buffer> {
  const order = (line: string): string =>
    `fenceline-peer 1\nfence ${'a'.repeat(32)} token=- deadline_ms=2000 vms=1 grace_ms=0 host=${site.suspect.hostUuid}\n${line}\n`;
  const other = '99999999-0000-4000-8000-000000000000';
  return {
    'a uuid with a command': order(`vm ${u};touch${LOOT} epoch=7`),
    'a uuid with a substitution': order(`vm $(touch ${LOOT}) epoch=7`),
    'a uuid with a pattern': order('vm ????????-????-????-????-???????????? epoch=7'),
    'an epoch that is arithmetic': order(`vm ${u} epoch=a[$(touch\t${LOOT})]`),
    'a disk with a substitution': order(`vm ${other} epoch=7 disk=file:$(touch${LOOT})`),
    'an encoded substitution': order(`vm ${other} epoch=7 disk=file:/x%24%28touch%20${LOOT}%29`),
    'an encoded line end': order(`vm ${other} epoch=7 disk=file:/x%0Avm%20${u}%20epoch=7`),
    'an encoded NUL': order(`vm ${other} epoch=7 disk=file:/etc/passwd%00.img`),
    traversal: order(`vm ${other} epoch=7 disk=file:/srv/%2e%2e/%2e%2e${LOOT}`),
    'an option as a path': order(`vm ${other} epoch=7 disk=file:--output=${LOOT}`),
    'a token that is a path': order(`vm ${u} epoch=7`).replace(
      'token=-',
      'token=../../../etc/hostname',
    ),
    'a nonce that is a command': `fenceline-peer 1\nfence $(id) token=- deadline_ms=2000 vms=1\nvm ${u} epoch=7\n`,
    'a host that is a path': order(`vm ${u} epoch=7`).replace(
      /host=\S+/,
      'host=../../etc/machine-id',
    ),
    'another host': order(`vm ${u} epoch=7`).replace(/host=\S+/, `host=${other}`),
    'a count that is arithmetic': order(`vm ${u} epoch=7`).replace('vms=1', `vms=$((1))`),
    'a smaller epoch than what runs': order(`vm ${u} epoch=6`),
    'another version': order(`vm ${u} epoch=7`).replace('peer 1', 'peer 2'),
    'a line of a megabyte': order(`vm ${u} epoch=7 disk=file:/${'x'.repeat(1_000_000)}`),
    NULs: Buffer.from(order(`vm ${other}\0 epoch=7\0`)),
    bytes: Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 7_919) % 256)),
    nothing: '',
  };
}

test('F18, F29: whatever is written to the program is data; it kills nothing and writes nowhere else', async () => {
  const pid = await site.start(vm, 7);
  const before = await contents();
  const started = await h1.mustExec(['cat', `/proc/${pid}/stat`]);
  const orders = Object.entries(ordersOf(vm.vmUuid));
  for (let i = 0; i < orders.length; i += 5) {
    const asked = orders.slice(i, i + 5).map(async ([name, stdin]) => {
      const line = `base64 -d | timeout 8 ssh ${sshLine(h1.address, KEY)} 2>&1 | head -c 100000`;
      const input = Buffer.from(stdin).toString('base64');
      const { stdout } = await h2.exec(['sh', '-c', line], { input, timeoutMs: 20_000 });
      // It speaks the protocol or nothing at all, and repeats nothing that it was given to say.
      expect([name, stdout.split('\n')[0]]).toEqual([
        name,
        expect.stringMatching(/^fenceline-fence 1( |$)/),
      ]);
      expect([name, stdout]).toEqual([
        name,
        expect.not.stringMatching(/uid=0\(|root:|syntax|bash:/),
      ]);
    });
    await Promise.all(asked);
  }
  const now = await h1.mustExec(['cat', `/proc/${pid}/stat`]);
  expect(now.split(' ').slice(0, 2)).toEqual(started.split(' ').slice(0, 2));
  expect(await contents()).toEqual(before);
  expect((await h1.exec(['test', '-e', LOOT])).code).not.toBe(0);
});

test('F29: from another address, another host, or without its entry the key is worth nothing', async () => {
  const [, , third] = site.agents.hosts;
  if (third === undefined) throw new Error('three hosts are needed');
  const stolen = await h2.mustExec(['cat', KEY]);
  const copy = '/run/stolen';
  await third.host.mustExec(['sh', '-c', `umask 077; cat >${copy}`], { input: stolen });
  const denied = { code: 255, output: expect.stringContaining('Permission denied') };
  const door = { address: h1.address, key: KEY };
  expect(await attempt(third.host, { ...door, key: copy }, {})).toMatchObject(denied);
  const overStorage = { address: '10.77.2.11', key: KEY };
  expect(await attempt(h2, overStorage, {})).toMatchObject(denied);
  const asNobody = { options: '-l nobody', command: 'id' };
  expect((await attempt(h2, door, asNobody)).output).not.toContain('uid=');
  await site.connectAll({ without: site.peer });
  expect(await attempt(h2, door, {})).toMatchObject(denied);
  await site.connectAll();
  expect((await attempt(h2, door, {})).output).toMatch(/^fenceline-fence 1/);
});

test('F29: a key that was replaced is worth nothing, and the new one fences', async () => {
  const { agents, peer } = site;
  const old = '/run/old-key';
  await h2.mustExec(['cp', '-p', KEY, old]);
  const { nextFencePublicKey: next = '' } = await agents.must(peer, agentRoutes.fenceKey, {
    step: 'prepare',
  });
  await site.connectAll({
    also: { hostUuid: peer.hostUuid, addresses: [h2.address], fencePublicKey: next },
  });
  // In between both are let in, so that the peer can fence at every moment.
  expect(outcomeOf(await site.fence(vm, { fenceEpoch: 6 }))).toBe('STALE_EPOCH');
  await agents.must(peer, agentRoutes.fenceKey, { step: 'switch', fencePublicKey: next });
  await site.connectAll();
  const gone = await attempt(h2, { address: h1.address, key: old }, {});
  expect(gone).toMatchObject({ code: 255, output: expect.stringContaining('Permission denied') });
  expect(await h2.mustExec(['stat', '-c', '%a', KEY])).toBe('600\n');
  expect((await h2.exec(['test', '-e', `${KEY}.next`])).code).not.toBe(0);
  expect(outcomeOf(await site.fence(vm))).toBe('confirmedDead');
});
