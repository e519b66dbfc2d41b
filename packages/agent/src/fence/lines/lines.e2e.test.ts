import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FenceLineState, FenceVmFromPeerRsp } from '@fenceline/protocol';

// F27 in the lab: h2 keeps a line to h1 over a real sshd, with the installed fence program waiting
// in it, and fences a real qemu there when a new login has become impossible.

const ROOT = join(import.meta.dirname, '../../../../..');
const DIST = join(ROOT, 'packages/agent/dist/fence');
const dir = mkdtempSync(join(tmpdir(), 'lines-e2e-'));
const LAB = join(dir, 'lab');
const [H1, H2] = ['aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000002'];

/** Does one job, or keeps a line and fences each time that a file with a command appears. */
const DRIVER = `
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { silentLogger, systemClock, systemRandom } from '${ROOT}/packages/common/dist/index.js';
import { fileFenceAccess } from '${DIST}/adapters/fileFenceAccess.js';
import { fileOrderTokens } from '${DIST}/adapters/fileOrderTokens.js';
import { ssh2Dialer } from '${DIST}/adapters/ssh2Dialer.js';
import { systemSigns } from '${DIST}/adapters/systemSigns.js';
import { makeFenceLines } from '${DIST}/lines/fenceLines.js';
import { makePeerFence } from '${DIST}/peerFence.js';
const job = JSON.parse(readFileSync(0, 'utf8'));
const runDir = '/run/fenceline';
const access = fileFenceAccess({
  runDir,
  stateDir: '/var/lib/fenceline/agent',
  libvirtUri: 'qemu:///system',
  authorizedKeysFile: '/root/.ssh/authorized_keys',
});
const clock = systemClock;
const random = systemRandom;
const dialer = ssh2Dialer({ clock, privateKey: () => access.privateKey() });
const doorDialer = { dial: async () => ({ ok: false, failure: 'refused', stages: [] }) };
const lines = makeFenceLines({ clock, random, log: silentLogger, dialer, doorDialer, ownAddresses: async () => ['10.77.1.12'] });
const peer = makePeerFence({
  ...{ clock, random, log: silentLogger, dialer, lines, signs: systemSigns(clock) },
  own: { hostUuid: async () => '${H2}', addresses: async () => ['10.77.1.12', '10.77.2.12'] },
});
const context = { caller: { role: 'server', name: 'e2e' }, signal: new AbortController().signal };
const put = (name, value) => {
  writeFileSync('${dir}/' + name + '.new', JSON.stringify(value));
  renameSync('${dir}/' + name + '.new', '${dir}/' + name);
};
async function keep() {
  lines.set(job.neighbours);
  for (let n = 0; !existsSync('${dir}/stop'); ) {
    put('states', lines.states());
    if (existsSync('${dir}/command.' + n)) {
      put('answer.' + n, await peer.fenceVm(JSON.parse(readFileSync('${dir}/command.' + n, 'utf8')), context));
      n += 1;
    }
    await wait(20);
  }
  await lines.stop();
}
const run = {
  key: () => access.publicKey(),
  install: () => access.install(job.siblings, { orderTokens: true }),
  tokens: () => fileOrderTokens(runDir).deposit(job.tokens, { replace: true }),
  keep,
}[job.run];
console.log(JSON.stringify((await run()) ?? null));
`;

const env = { ...process.env, FENCELINE_LAB_DIR: LAB };
function lab(args: string[], input = ''): string {
  const options = { env, encoding: 'utf8', timeout: 60_000, input } as const;
  const result = spawnSync(join(ROOT, 'scripts/lab'), args, options);
  if (result.status !== 0 && args[0] !== 'exec')
    throw new Error(`lab ${args.join(' ')}: ${result.stderr}${result.stdout}`);
  return result.stdout.trim();
}
const exec = (host: string, command: string): string =>
  lab(['exec', host, '--', 'sh', '-c', command]);
const driver = (host: string): string[] => ['exec', host, '--', 'node', join(dir, 'driver.mjs')];
const drive = (host: string, job: object): unknown =>
  JSON.parse(lab(driver(host), JSON.stringify(job)) || 'null');

const token = (n: number): string => n.toString(16).padStart(32, '0');
let uuid = '';
let hostKey = '';
let keeper: ChildProcess | undefined;
let asked = 0;

/** Looks again and again. @throws Error if it is not there within `limitMs`. */
async function eventually<T>(
  what: string,
  look: () => T | undefined,
  limitMs = 20_000,
): Promise<T> {
  const endMs = Date.now() + limitMs;
  for (;;) {
    const seen = look();
    if (seen !== undefined) return seen;
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const read = <T>(name: string): T | undefined =>
  existsSync(join(dir, name))
    ? (JSON.parse(spawnSync('cat', [join(dir, name)], { encoding: 'utf8' }).stdout) as T)
    : undefined;
const standing = (): Promise<FenceLineState> =>
  eventually('the line stands', () =>
    read<FenceLineState[]>('states')?.find(
      ({ state, why }) => state === 'standing' && why === undefined,
    ),
  );

/** One fence call of h2, with the next two tokens. */
async function fence(over: object = {}): Promise<FenceVmFromPeerRsp> {
  const n = asked;
  asked += 1;
  const command = {
    ...{ targetHostUuid: H1, targetHostIp: '10.77.1.11', targetHostKeys: [hostKey] },
    ...{ targetAddresses: ['10.77.1.11'], targetAgentPort: 7070, targetHostSshPort: 22 },
    ...{ targetHostUsername: 'root', controls: [], sshTimeoutSec: 10, connectTimeoutMs: 3_500 },
    ...{ killGraceMs: 300, orderToken: token(2 * n), spareOrderTokens: [token(2 * n + 1)] },
    ...{ vmUuid: uuid, fenceEpoch: 7 },
    disks: [{ kind: 'file', source: '/srv/shared/web1.img' }],
    ...over,
  };
  writeFileSync(join(dir, 'part'), JSON.stringify(command));
  spawnSync('mv', [join(dir, 'part'), join(dir, `command.${n}`)]);
  return eventually('an answer', () => read<FenceVmFromPeerRsp>(`answer.${n}`));
}
const stages = ({ stages: all }: FenceVmFromPeerRsp): string[] => all.map(({ name }) => name);
/** What a login by hand sees now: the first line of the program, or nothing. */
const login = (): string =>
  exec(
    'h2',
    'echo x | timeout 3 ssh -o StrictHostKeyChecking=no -o BatchMode=yes ' +
      '-i /var/lib/fenceline/agent/fence-key root@10.77.1.11 2>/dev/null',
  );

/** A fence ends when the process has; libvirt looks for that every 200 ms only. */
async function startWeb1(): Promise<void> {
  await eventually('libvirt knows of its end', () =>
    exec('h1', 'virsh domstate web1').includes('shut off') ? true : undefined,
  );
  lab(['vm', 'start', 'web1', 'h1']);
}

beforeAll(async () => {
  writeFileSync(join(dir, 'driver.mjs'), DRIVER);
  lab(['up', '2']);
  lab(['vm', 'create', 'web1']);
  uuid = exec('h1', 'virsh domuuid web1').split('\n')[0] ?? '';
  exec('h1', `mkdir -p /run/fenceline; echo ${H1} > /run/fenceline/host`);
  hostKey = exec('h1', 'cut -d" " -f1,2 /etc/ssh/ssh_host_ed25519_key.pub');
  const fencePublicKey = drive('h2', { run: 'key' }) as string;
  const siblings = [{ hostUuid: H2, addresses: ['10.77.1.12'], fencePublicKey }];
  drive('h1', { run: 'install', siblings });
  drive('h1', { run: 'tokens', tokens: Array.from({ length: 40 }, (_, n) => token(n)) });
  const neighbour = { hostUuid: H1, addresses: ['10.77.1.11'], sshPort: 22, username: 'root' };
  const job = { run: 'keep', neighbours: [{ ...neighbour, hostKeys: [hostKey] }] };
  keeper = spawn(join(ROOT, 'scripts/lab'), driver('h2'), {
    env,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  keeper.stdin?.end(JSON.stringify(job));
  await standing();
}, 90_000);

afterAll(async () => {
  writeFileSync(join(dir, 'stop'), '');
  const ended = keeper?.exitCode !== null || keeper.signalCode !== null;
  // One that has failed has ended already: the lab goes down all the same.
  if (!ended) await new Promise((resolve) => keeper?.once('exit', resolve));
  lab(['down', '--purge']);
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

test('F27: a fence over the line needs no login, and the line stands for the next one', async () => {
  await startWeb1();
  const rsp = await fence();
  expect(rsp).toMatchObject({ outcome: 'confirmedDead', hostUuid: H1, barrier: 'disk' });
  expect(stages(rsp)[0]).toBe('line');
  expect(stages(rsp)).not.toContain('connect');
  expect(await fence()).toMatchObject({ outcome: 'nothingFound', qemuConfirmedDead: true });
  expect(await standing()).toMatchObject({ hostUuid: H1 });
});

test('F29a: over the line, too, an order needs a token that lies there, and uses it up', async () => {
  await startWeb1();
  const used = { orderToken: token(0), spareOrderTokens: [token(2)] };
  expect(await fence(used)).toMatchObject({ outcome: 'badOrderToken', qemuConfirmedDead: false });
  expect(exec('h1', 'virsh domstate web1')).toBe('running');
  await standing();
  expect(await fence()).toMatchObject({ outcome: 'confirmedDead' });
});

describe('F27: where a new login is impossible', () => {
  const PAM =
    'printf "account required pam_exec.so /bin/sleep 600\\n" >/run/pam.sshd; cat /etc/pam.d/sshd >>/run/pam.sshd; mount --bind /run/pam.sshd /etc/pam.d/sshd';
  test.each<[string, () => void, () => void]>([
    [
      'no process can be made',
      () => lab(['fault', 'h1', 'pids', '0']),
      () => lab(['fault', 'h1', 'pids-ok']),
    ],
    [
      'sshd is stopped',
      () => lab(['fault', 'h1', 'sshd-hang']),
      () => lab(['fault', 'h1', 'ssh-ok']),
    ],
    [
      'PAM hangs',
      () => exec('h1', PAM),
      () => exec('h1', 'umount /etc/pam.d/sshd; pkill -x sleep'),
    ],
  ])(
    'F27: %s: the qemu is killed and proven dead over the line',
    async (_what, hurt, heal) => {
      await standing();
      await startWeb1();
      hurt();
      try {
        expect(login()).toBe('');
        const rsp = await fence();
        expect(rsp).toMatchObject({ outcome: 'confirmedDead', qemuConfirmedDead: true });
        expect(stages(rsp)[0]).toBe('line');
        expect(stages(rsp)).not.toContain('kex');
        expect(rsp.disks).toEqual([{ source: '/srv/shared/web1.img', drained: 'synced' }]);
      } finally {
        heal();
      }
    },
    60_000,
  );
});

test('F27: a frozen host keeps its line, gives no verdict, and is fenced when it thaws', async () => {
  await standing();
  await startWeb1();
  lab(['fault', 'h1', 'freeze']);
  try {
    const rsp = await fence({ sshTimeoutSec: 3 });
    expect(rsp).toMatchObject({ qemuConfirmedDead: false, targetHostUnreachable: false });
  } finally {
    lab(['fault', 'h1', 'thaw']);
  }
  await standing();
  const after = await fence();
  expect(['confirmedDead', 'nothingFound']).toContain(after.outcome);
}, 60_000);
