import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import {
  agentRoutes,
  type DestroyVmCmd,
  type SiblingKey,
  type StartVmCmd,
} from '@fenceline/protocol';
import { AgentLab, eventually, type AgentHost } from './agentLab.js';

jest.setTimeout(60_000);

const NOTHING = {};
let agents: AgentLab;
let h1: AgentHost;
let h2: AgentHost;
let epoch = 0;

beforeAll(async () => {
  agents = await AgentLab.up(path.join(tmpdir(), `fenceline-e2e-agent-${process.pid}`), {
    count: 2,
    locks: true,
  });
  const [first, second] = agents.hosts;
  if (first === undefined || second === undefined) throw new Error('two hosts are needed');
  [h1, h2] = [first, second];
});
afterAll(() => agents.lab.purge());

/** A VM that is defined on both hosts. */
async function newVm(name: string): Promise<{ vmUuid: string; xml: string; disk: string }> {
  const disk = await agents.lab.createDisk(name);
  const xml = await agents.lab.domainXml({ name, disk: disk.path });
  for (const { host } of agents.hosts)
    await host.mustExec(['sh', '-c', 'cat | virsh define /dev/stdin'], { input: xml });
  const vmUuid = /<uuid>(.*?)<\/uuid>/.exec(xml)?.[1] ?? '';
  return { vmUuid, xml, disk: disk.path };
}

type Vm = Awaited<ReturnType<typeof newVm>>;

const startOf = (
  vm: Vm,
  on: AgentHost,
  changes: Partial<StartVmCmd> = {},
): Partial<StartVmCmd> => ({
  vmUuid: vm.vmUuid,
  epoch: ++epoch,
  bootId: on.bootId,
  domainXml: vm.xml,
  closedRuns: [],
  ...changes,
});
const closeOf = (vm: Vm, changes: Partial<DestroyVmCmd> = {}): Partial<DestroyVmCmd> => ({
  vmUuid: vm.vmUuid,
  fenceEpoch: epoch,
  disks: [{ kind: 'file', source: vm.disk }],
  ...changes,
});

async function libvirtAnswers({ host }: AgentHost): Promise<void> {
  await eventually('libvirt answers', async () => {
    return (await host.exec(['virsh', 'list'], { timeoutMs: 5_000 })).code === 0;
  });
}

async function connect(
  agent: AgentHost,
  runs?: { vmUuid: string; epoch: number }[],
  siblings: SiblingKey[] = [],
) {
  const { hostUuid } = agent;
  const fields = { hostUuid, serverUuid: hostUuid, serverVersion: '1', siblings };
  return agents.must(agent, agentRoutes.connect, runs === undefined ? fields : { ...fields, runs });
}

test('F11: a new agent starts nothing until a connect has brought the runs', async () => {
  const vm = await newVm('fresh');
  expect(await agents.call(h1, agentRoutes.vmStart, startOf(vm, h1))).toMatchObject({
    code: 'REFUSED',
  });
  expect(await connect(h1)).toMatchObject({ seeded: false, bootId: h1.bootId });
  expect(await connect(h1, [])).toMatchObject({ seeded: true });
  expect(await connect(h2, [{ vmUuid: vm.vmUuid, epoch: 50 }])).toMatchObject({ seeded: true });
  const stale = startOf(vm, h2, { epoch: 49 });
  expect(await agents.call(h2, agentRoutes.vmStart, stale)).toMatchObject({ code: 'STALE_EPOCH' });
});

test('facts, capacity and ping of a real host', async () => {
  expect(await agents.must(h1, agentRoutes.facts, NOTHING)).toMatchObject({
    hostname: 'h1',
    bootId: h1.bootId,
    libvirtVersion: expect.stringMatching(/^\d+\.\d+/),
    qemuVersion: expect.stringMatching(/^\d+\.\d+/),
    addresses: [h1.host.address],
    sshHostKeys: [await h1.host.sshHostKey()],
  });
  expect((await agents.must(h1, agentRoutes.capacity, NOTHING)).memoryMiB).toBeGreaterThan(100);
  expect(await agents.must(h1, agentRoutes.ping, NOTHING)).toMatchObject({ hostUuid: h1.hostUuid });
});

test('F35: a run bears its epoch in arguments, metadata and record; the stored definition does not', async () => {
  const vm = await newVm('marked');
  const watching = agents.watch(h1, 2_500);
  const started = await agents.must(h1, agentRoutes.vmStart, startOf(vm, h1));
  expect(started).toMatchObject({ state: 'Running', epoch });
  const args = await h1.host.mustExec(['cat', `/proc/${started.pid}/cmdline`]);
  expect(args).toContain(`name=opt/org.fenceline/run,string=${epoch}`);
  const live = await h1.host.mustExec(['virsh', 'dumpxml', vm.vmUuid]);
  expect(live).toMatch(new RegExp(`<fenceline:run .* epoch=["']${epoch}["']/>`));
  const stored = await h1.host.mustExec(['virsh', 'dumpxml', '--inactive', vm.vmUuid]);
  expect(stored).not.toContain('fenceline');
  const record = await h1.host.mustExec(['cat', `/run/fenceline/runs/${vm.vmUuid}`]);
  expect(record).toBe(`${epoch} ${started.pid} ${started.startTime}\n`);
  expect(await h1.host.mustExec(['ls', '/run/fenceline/grants'])).toBe('');
  expect(await agents.must(h1, agentRoutes.vmDomain, { vmUuid: vm.vmUuid })).toMatchObject({
    name: 'marked',
    disks: [{ kind: 'file', source: vm.disk }],
  });
  const items = await watching;
  expect(items[0]).toMatchObject({ kind: 'heartbeat', sequence: 0, bootId: h1.bootId });
  expect(items).toContainEqual(
    expect.objectContaining({
      kind: 'vm',
      vm: expect.objectContaining({ vmUuid: vm.vmUuid, state: 'Running', epoch }),
    }),
  );

  const closed = await agents.must(h1, agentRoutes.vmDestroy, closeOf(vm));
  expect(closed).toMatchObject({
    hostUuid: h1.hostUuid,
    bootId: h1.bootId,
    verdict: { outcome: 'confirmedDead', qemuConfirmedDead: true, barrier: 'disk' },
    highestBegan: epoch,
    beganKnown: true,
  });
  const again = startOf(vm, h1, { epoch });
  expect(await agents.call(h1, agentRoutes.vmStart, again)).toMatchObject({ code: 'STALE_EPOCH' });
});

test('F40: a start on a second host is refused by the image lock, with the path', async () => {
  const vm = await newVm('locked');
  await agents.must(h1, agentRoutes.vmStart, startOf(vm, h1));
  await eventually('the guest has its disk open', async () => {
    return agents.lab.check('locked').verdict === 'oneWriter';
  });
  const second = startOf(vm, h2, { epoch: 100 });
  expect(await agents.call(h2, agentRoutes.vmStart, second)).toMatchObject({
    status: 409,
    code: 'IMAGE_LOCKED',
    facts: { path: vm.disk },
  });
  expect(await agents.must(h2, agentRoutes.vmStart, second)).toMatchObject({ state: 'Stopped' });
  await agents.must(h1, agentRoutes.vmDestroy, closeOf(vm));
});

test('F21: with libvirt hung, the process table still tells, and a fence closes the run', async () => {
  const vm = await newVm('hung');
  const { pid } = await agents.must(h1, agentRoutes.vmStart, startOf(vm, h1));
  await h1.host.fault('libvirtd-stop');
  const sync = await agents.must(h1, agentRoutes.vmSync, NOTHING);
  expect(sync.libvirtAnswered).toBe(false);
  expect(sync.vms).toContainEqual(
    expect.objectContaining({ vmUuid: vm.vmUuid, pid, epoch, state: 'Running' }),
  );
  const closed = await agents.must(h1, agentRoutes.vmDestroy, closeOf(vm));
  expect(closed.verdict).toMatchObject({ outcome: 'confirmedDead', barrier: 'disk' });
  await h1.host.fault('libvirtd-ok');
});

test('F34: a SIGKILLed agent lets no start slip past a barrier', async () => {
  const vm = await newVm('killed');
  await h1.host.fault('storage hang');
  const command = startOf(vm, h1, { startTimeoutMs: 60_000 });
  const starting = agents.raw(h1.host, {
    method: 'POST',
    path: '/vm/start',
    fields: command,
  });
  const grantFile = `/run/fenceline/grants/${vm.vmUuid}`;
  await eventually('the start has its grant', async () => {
    return (await h1.host.exec(['test', '-e', grantFile])).code === 0;
  });
  await h1.host.killService('agent', true);
  expect(await starting).toMatchObject({ status: 0 });
  await agents.answers(h1);
  const next = startOf(vm, h1);
  expect(await agents.call(h1, agentRoutes.vmStart, next)).not.toMatchObject({ ok: true });
  const closed = agents.call(h1, agentRoutes.vmDestroy, closeOf(vm, { timeoutMs: 15_000 }));
  await h1.host.fault('storage ok');
  expect(await closed).toMatchObject({
    ok: true,
    rsp: { verdict: { qemuStillAlive: false, barrier: 'disk' } },
  });
  // A fence that finds a start without an end ends libvirt's daemon.
  await libvirtAnswers(h1);
  const look = await agents.must(h1, agentRoutes.vmStatus, { vmUuid: vm.vmUuid });
  expect(look.vm?.hasProcess).toBe(false);
  expect(look.barrierEpoch).toBe(epoch);
  expect((await h1.host.exec(['pgrep', '-f', `[q]emu.*${vm.vmUuid}`])).code).toBe(1);
});

test('F21: a zombie leader with a write in flight is listed, and is not dead', async () => {
  const vm = await newVm('zombie');
  const { pid } = await agents.must(h1, agentRoutes.vmStart, startOf(vm, h1));
  await eventually('the guest writes', async () => {
    return agents.lab.check('zombie').verdict === 'oneWriter';
  });
  await h1.host.fault('storage rohang');
  const tasks = async (file: string): Promise<string> =>
    h1.host.mustExec(['sh', '-c', `cat /proc/${pid}/task/*/${file} || true`]);
  await eventually('a write hangs', async () => (await tasks('wchan')).includes('answer'));
  await h1.host.mustExec(['kill', '-9', String(pid)]);
  await eventually('its leader has ended', async () => /\) Z /.test(await tasks('stat')));
  const sync = await agents.must(h1, agentRoutes.vmSync, NOTHING);
  expect(sync.vms.filter((one) => one.vmUuid === vm.vmUuid)).toMatchObject([
    { pid, epoch, hasProcess: true, state: 'Stopping' },
  ]);
  const closed = await agents.must(h1, agentRoutes.vmDestroy, closeOf(vm, { timeoutMs: 2_000 }));
  expect(closed.verdict).toMatchObject({ outcome: 'stillAlive', qemuStillAlive: true });
  await h1.host.fault('storage ok');
  await eventually('its last thread ends', async () => {
    return (await h1.host.exec(['test', '-e', `/proc/${pid}`])).code !== 0;
  });
  const later = await agents.must(h1, agentRoutes.vmDestroy, closeOf(vm));
  expect(later.verdict).toMatchObject({ qemuConfirmedDead: true });
});

test('F34: "shut off" is no word about a start that waits in libvirt for a free worker', async () => {
  const vms = [await newVm('worker1'), await newVm('worker2'), await newVm('queued')];
  const [first, second, queued] = vms;
  if (first === undefined || second === undefined || queued === undefined) throw new Error('no VM');
  const { host } = h1;
  const daemon = async (): Promise<string> => host.mustExec(['cat', '/run/libvirtd.pid']);
  const domstate = async () =>
    host.exec(['virsh', 'domstate', queued.vmUuid], { timeoutMs: 5_000 });
  const two = 'printf "min_workers = 2\\nmax_workers = 2\\n" >>/etc/libvirt/libvirtd.conf';
  await host.mustExec(['sh', '-c', `${two}; kill -9 $(cat /run/libvirtd.pid)`]);
  await libvirtAnswers(h1);
  await host.fault('storage hang');
  const start = (vm: Vm): Promise<string> =>
    host.mustExec(['sh', '-c', `virsh start ${vm.vmUuid} >/dev/null 2>&1 & echo $!`]);
  for (const vm of [first, second]) await start(vm);
  await eventually('both workers are taken', async () => {
    const hung = `grep -l wait_answer /proc/$(cat /run/libvirtd.pid)/task/*/wchan | wc -l`;
    return Number((await host.exec(['sh', '-c', hung])).stdout) === 2;
  });
  const virsh = (await start(queued)).trim();
  await host.mustExec(['sleep', '0.5']);
  // Its time is over: virsh is killed, the grant stays; libvirt says "shut off" all the same.
  await host.mustExec(['kill', '-9', virsh]);
  const grant = `/run/fenceline/grants/${queued.vmUuid}`;
  await host.mustExec(['sh', '-c', `echo "${++epoch} ${virsh} 1" >${grant}`]);
  expect((await domstate()).stdout).toContain('shut off');
  const before = await daemon();
  const refused = startOf(queued, h1, { epoch: epoch + 1 });
  expect(await agents.call(h1, agentRoutes.vmStart, refused)).toMatchObject({ ok: false });
  const closed = agents.must(
    h1,
    agentRoutes.vmDestroy,
    closeOf(queued, { disks: [], timeoutMs: 15_000 }),
  );
  // What hangs in storage dies when it is back; until then the fence proves nothing.
  await host.mustExec(['sleep', '2']);
  await host.fault('storage ok');
  expect((await closed).verdict).toMatchObject({ qemuConfirmedDead: true });
  await libvirtAnswers(h1);
  expect(await daemon()).not.toBe(before);
  await host.mustExec(['sleep', '2']);
  expect((await domstate()).stdout).toContain('shut off');
  expect((await host.exec(['pgrep', '-f', '[q]emu-system.*queued'])).code).toBe(1);
  for (const vm of [first, second]) await agents.must(h1, agentRoutes.vmDestroy, closeOf(vm));
  await agents.must(h1, agentRoutes.vmDestroy, closeOf(queued));
  await libvirtAnswers(h1);
  await eventually('the grant has gone with its run', async () => {
    return (await host.exec(['test', '-e', grant])).code !== 0;
  });
  const next = startOf(queued, h1, { epoch: epoch + 1 });
  expect(await agents.must(h1, agentRoutes.vmStart, next)).toMatchObject({ state: 'Running' });
  epoch += 1;
  await agents.must(h1, agentRoutes.vmDestroy, closeOf(queued));
});

test('F29, D4: siblings that were connected to each other scan and fence', async () => {
  const keyOf = async (agent: AgentHost) => ({
    hostUuid: agent.hostUuid,
    addresses: [agent.host.address],
    fencePublicKey: (await connect(agent)).fencePublicKey,
  });
  const siblings = [await keyOf(h1), await keyOf(h2)];
  for (const agent of [h1, h2]) await connect(agent, undefined, siblings);
  const vm = await newVm('peer');
  const { pid } = await agents.must(h1, agentRoutes.vmStart, startOf(vm, h1));
  const scan = { targetHostUuid: h1.hostUuid, targetAddresses: [h1.host.address] };
  expect(await agents.must(h2, agentRoutes.scanHost, scan)).toMatchObject({ level: 'agent' });
  await h1.host.killService('agent');
  expect(await agents.must(h2, agentRoutes.scanHost, scan)).toMatchObject({ level: 'kernel' });
  const fenced = await agents.must(h2, agentRoutes.fenceVm, {
    ...{ vmUuid: vm.vmUuid, fenceEpoch: epoch, disks: [{ kind: 'file', source: vm.disk }] },
    ...{ targetHostUuid: h1.hostUuid, targetHostIp: h1.host.address, controls: [] },
    targetHostKeys: [await h1.host.sshHostKey()],
  });
  expect(fenced).toMatchObject({
    outcome: 'confirmedDead',
    qemuConfirmedDead: true,
    hostUuid: h1.hostUuid,
    bootId: h1.bootId,
    killed: [{ pid, epoch }],
  });
  await h1.host.releaseService('agent');
  await agents.answers(h1);
  // The barrier of the sibling's fence holds for the agent, too.
  const late = startOf(vm, h1, { epoch });
  expect(await agents.call(h1, agentRoutes.vmStart, late)).toMatchObject({ code: 'STALE_EPOCH' });
});

test('a stop by SIGTERM is clean and the VMs live on', async () => {
  const vm = await newVm('lives');
  const { pid } = await agents.must(h1, agentRoutes.vmStart, startOf(vm, h1));
  const before = (await h1.host.status()).services.find(({ name }) => name === 'agent')?.pid;
  await h1.host.mustExec(['kill', '-TERM', String(before)]);
  await eventually('another agent runs', async () => {
    const now = (await h1.host.status()).services.find(({ name }) => name === 'agent')?.pid;
    return now !== undefined && now !== before;
  });
  await agents.answers(h1);
  const look = await agents.must(h1, agentRoutes.vmStatus, { vmUuid: vm.vmUuid });
  expect(look.vm).toMatchObject({ state: 'Running', epoch, pid });
  await agents.must(h1, agentRoutes.vmDestroy, closeOf(vm, { purpose: 'stop', gracefulMs: 500 }));
});

test('a mistake at the start of the program is a sentence and exit code 1', async () => {
  const agent = new URL('../../../agent/dist/main.js', import.meta.url).pathname;
  const run = (...args: string[]) => h1.host.exec(['node', agent, ...args], { timeoutMs: 10_000 });
  const inUse = await run('--config', h1.config);
  expect(inUse).toMatchObject({ code: 1, stdout: '' });
  expect(inUse.stderr).toContain('0.0.0.0 port 7070 is in use by another program');
  const noTls = await run();
  expect(noTls.code).toBe(1);
  expect(noTls.stderr).toMatch(/can't read the TLS file \/etc\/fenceline\/tls\/ca\.pem/);
  expect(`${inUse.stderr}${noTls.stderr}`).not.toContain('    at ');
});

test('F11: a lost state directory is noticed while the agent runs', async () => {
  const vm = await newVm('lost');
  await h2.host.mustExec(['sh', '-c', 'rm -r /var/lib/fenceline/agent/*']);
  expect(await agents.call(h2, agentRoutes.vmStart, startOf(vm, h2))).toMatchObject({
    code: 'REFUSED',
  });
  expect(await connect(h2, [{ vmUuid: vm.vmUuid, epoch }])).toMatchObject({ seeded: true });
  const rsp = await agents.must(h2, agentRoutes.vmStart, startOf(vm, h2));
  expect(rsp).toMatchObject({ state: 'Running', epoch });
  await agents.must(h2, agentRoutes.vmDestroy, closeOf(vm));
});
