import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import {
  agentRoutes,
  type DestroyVmCmd,
  type HookState,
  type StartVmCmd,
  type WatchItem,
} from '@fenceline/protocol';
import { AgentLab, eventually, type AgentHost } from '../agent/agentLab.js';

jest.setTimeout(120_000);

const HOOK = '/etc/libvirt/hooks/qemu.d/50-fenceline';
const ANOTHER = '/etc/libvirt/hooks/qemu.d/90-another';
const PROBE_SEC = 1;

let agents: AgentLab;
let h1: AgentHost;
let h2: AgentHost;
let epoch = 0;

interface Vm {
  name: string;
  vmUuid: string;
  xml: string;
  disk: string;
}
const vms: Vm[] = [];

beforeAll(async () => {
  agents = await AgentLab.up(path.join(tmpdir(), `fenceline-e2e-hook-${process.pid}`), {
    count: 2,
    settings: { libvirt: { hookProbeSec: PROBE_SEC } },
  });
  const [first, second] = agents.hosts;
  if (first === undefined || second === undefined) throw new Error('two hosts are needed');
  [h1, h2] = [first, second];
  for (const { hostUuid, ...agent } of agents.hosts) {
    const identity = { hostUuid, serverUuid: hostUuid, serverVersion: '1' };
    const fields = { ...identity, siblings: [], runs: [] };
    await agents.must({ hostUuid, ...agent }, agentRoutes.connect, fields);
  }
});
afterAll(() => agents.lab.purge());

/** A VM that is defined on both hosts, and protected. */
async function newVm(name: string): Promise<Vm> {
  const disk = (await agents.lab.createDisk(name)).path;
  const xml = await agents.lab.domainXml({ name, disk });
  for (const agent of agents.hosts) await virsh(agent, ['define', '/dev/stdin'], xml);
  const vm = { name, vmUuid: /<uuid>(.*?)<\/uuid>/.exec(xml)?.[1] ?? '', xml, disk };
  vms.push(vm);
  for (const agent of agents.hosts) await protect(agent, vms);
  return vm;
}

const protect = (agent: AgentHost, list: readonly Vm[]): Promise<unknown> =>
  agents.must(agent, agentRoutes.protect, {
    vms: list.map(({ vmUuid, disk }) => ({ vmUuid, disks: [{ kind: 'file', source: disk }] })),
  });

/** virsh by hand. */
async function virsh({ host }: AgentHost, args: readonly string[], input = '') {
  const line = ['sh', '-c', 'cat | virsh "$@"', 'virsh', ...args];
  return host.exec(line, { input, timeoutMs: 20_000 });
}
const refused = { code: 1, stderr: expect.stringContaining('Fenceline: ') };
const stateOf = async (agent: AgentHost, { name }: { name: string }): Promise<string> =>
  (await virsh(agent, ['domstate', name])).stdout.trim();
const pids = async ({ host }: AgentHost, { vmUuid }: { vmUuid: string }): Promise<string> =>
  (await host.exec(['pgrep', '-f', `[q]emu-system.*${vmUuid}`])).stdout.trim();

const startOf = (vm: Vm, on: AgentHost): Partial<StartVmCmd> => ({
  ...{ vmUuid: vm.vmUuid, epoch: ++epoch, bootId: on.bootId, domainXml: vm.xml, closedRuns: [] },
});
const start = (vm: Vm, on: AgentHost) => agents.must(on, agentRoutes.vmStart, startOf(vm, on));
const closeOf = ({ vmUuid, disk }: Vm): Partial<DestroyVmCmd> => ({
  ...{ vmUuid, fenceEpoch: epoch, disks: [{ kind: 'file', source: disk }] },
});
/** The run is proven over, and libvirt has noticed, too. */
async function close(vm: Vm, on: AgentHost) {
  const closed = await agents.must(on, agentRoutes.vmDestroy, closeOf(vm));
  await eventually(`libvirt says that ${vm.name} is off`, async () => {
    return (await stateOf(on, vm)) === 'shut off';
  });
  return closed;
}

async function hookOf(agent: AgentHost): Promise<HookState | undefined> {
  const items = (await agents.watch(agent, 200)) as WatchItem[];
  return items.find(({ kind }) => kind === 'heartbeat')?.hook;
}
const hookIs = (agent: AgentHost, working: boolean): Promise<void> =>
  eventually(`the hook is told as ${working ? 'working' : 'broken'}`, async () => {
    return (await hookOf(agent))?.working === working;
  });

/** As the agent's own probe: a domain without disks, which ends with its virsh if nobody refuses it. */
async function asksTheHook(agent: AgentHost): Promise<boolean> {
  const xml =
    "<domain type='qemu'><name>fenceline-probe-00aa</name><memory>1024</memory><vcpu>1</vcpu>" +
    '<os><type>hvm</type></os></domain>';
  const asked = await virsh(agent, ['create', '--paused', '--autodestroy', '/dev/stdin'], xml);
  return asked.stderr.includes('Fenceline: hook 1 refuses probe 00aa');
}

/** libvirt's daemon, restarted in one way or another; its VMs must not notice. */
async function restartLibvirt(agent: AgentHost, signal: string): Promise<void> {
  const daemon = await agent.host.mustExec(['cat', '/run/libvirtd.pid']);
  await agent.host.mustExec(['kill', `-${signal}`, daemon.trim()]);
  await libvirtAnswers(agent, daemon);
}
const libvirtAnswers = (agent: AgentHost, notPid = ''): Promise<void> =>
  eventually('another daemon of libvirt answers', async () => {
    const daemon = (await agent.host.exec(['cat', '/run/libvirtd.pid'])).stdout;
    return daemon !== notPid && (await virsh(agent, ['list'])).code === 0;
  });

test('F34: the agent puts the hook in place, tells libvirt, and proves by a probe that it works', async () => {
  for (const agent of agents.hosts) {
    await hookIs(agent, true);
    expect(await agent.host.mustExec(['stat', '-c', '%a %U', HOOK])).toBe('755 root\n');
    expect((await virsh(agent, ['list', '--all'])).stdout).not.toContain('probe');
  }
  expect(await asksTheHook(h1)).toBe(true);
});

test('F34: a protected VM is started through Fenceline, and by nobody else', async () => {
  const vm = await newVm('web1');
  const free = await agents.lab.domainXml({
    name: 'free1',
    disk: (await agents.lab.createDisk('free1')).path,
  });
  expect(await virsh(h1, ['create', '/dev/stdin'], free)).toMatchObject({ code: 0 });
  expect(await virsh(h1, ['start', vm.name])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/web1 is refused: it is protected.*fenceline vm start web1/),
  });
  expect(await virsh(h1, ['create', '/dev/stdin'], vm.xml)).toMatchObject(refused);
  const clone = vm.xml.replace(vm.vmUuid, '99999999-2222-4333-8444-555555555555');
  const renamed = clone.replace('<name>web1<', '<name>other<').replace('/web1.img', '/./web1.img');
  expect(renamed).not.toContain(vm.vmUuid);
  expect(await virsh(h1, ['create', '/dev/stdin'], renamed)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is a disk of another VM, which is protected'),
  });
  expect(await start(vm, h1)).toMatchObject({ state: 'Running', epoch });
  expect(await h1.host.mustExec(['ls', '/run/fenceline/grants'])).toBe('');
  // The run's own mark is no ticket for a second start of it.
  const live = (await virsh(h1, ['dumpxml', vm.name])).stdout;
  expect((await close(vm, h1)).verdict).toMatchObject({ qemuConfirmedDead: true });
  expect(await virsh(h1, ['create', '/dev/stdin'], live)).toMatchObject(refused);
  expect(await virsh(h2, ['create', '/dev/stdin'], live)).toMatchObject(refused);
  expect([await pids(h1, vm), await pids(h2, vm)]).toEqual(['', '']);
  expect(await virsh(h1, ['destroy', 'free1'])).toMatchObject({ code: 0 });
});

test('F34: managed save, restore and snapshot revert are refused, and nothing is lost', async () => {
  const vm = await newVm('saved1');
  await start(vm, h1);
  expect(await virsh(h1, ['managedsave', vm.name])).toMatchObject({ code: 0 });
  expect(await virsh(h1, ['start', vm.name])).toMatchObject(refused);
  expect((await virsh(h1, ['dominfo', vm.name])).stdout).toMatch(/Managed save:\s+yes/);
  expect(await virsh(h1, ['managedsave-remove', vm.name])).toMatchObject({ code: 0 });
  await close(vm, h1);
  await start(vm, h1);
  expect(await virsh(h1, ['save', vm.name, '/tmp/../run/saved1'])).toMatchObject({ code: 0 });
  expect(await virsh(h1, ['restore', '/run/saved1'])).toMatchObject(refused);
  await h1.host.mustExec(['test', '-s', '/run/saved1']);
  expect(await pids(h1, vm)).toBe('');
  await close(vm, h1);
});

test('F34: a revert to a snapshot of a running VM ends it, and does not start it again', async () => {
  const vm = await newVm('snap1');
  const qcow = vm.disk.replace(/img$/, 'qcow2');
  await h1.host.mustExec(['qemu-img', 'create', '-q', '-f', 'qcow2', qcow, '16M']);
  const xml = vm.xml.replace(vm.disk, qcow).replace(/type=(["'])raw\1/, 'type="qcow2"');
  Object.assign(vm, { xml, disk: qcow });
  await protect(h1, vms);
  await virsh(h1, ['undefine', vm.name]);
  expect(await virsh(h1, ['define', '/dev/stdin'], xml)).toMatchObject({ code: 0 });
  await start(vm, h1);
  expect(await virsh(h1, ['snapshot-create-as', vm.name, 's1'])).toMatchObject({ code: 0 });
  expect(await virsh(h1, ['snapshot-revert', vm.name, 's1', '--force'])).toMatchObject(refused);
  expect([await stateOf(h1, vm), await pids(h1, vm)]).toEqual(['shut off', '']);
  // Its run is over by the agent's word, and Fenceline starts it anew.
  expect((await close(vm, h1)).verdict).toMatchObject({ qemuConfirmedDead: true });
  expect(await start(vm, h1)).toMatchObject({ state: 'Running' });
  await close(vm, h1);
  expect(await virsh(h1, ['snapshot-revert', vm.name, 's1', '--running'])).toMatchObject(refused);
});

test('F34: a migration by hand is refused where it comes in; the source goes on', async () => {
  const vm = await newVm('moving1');
  const { pid } = await start(vm, h1);
  const key = agents.lab.paths.sshKey;
  const uri = `qemu+ssh://root@${h2.host.address}/system?keyfile=${key}&no_verify=1`;
  const moved = await virsh(h1, ['migrate', '--live', '--unsafe', vm.name, uri]);
  expect(moved).toMatchObject(refused);
  expect([await stateOf(h1, vm), await pids(h1, vm)]).toEqual(['running', String(pid)]);
  expect(await pids(h2, vm)).toBe('');
  await close(vm, h1);
});

test('F34: between barrier and grant nothing starts, whatever was granted before', async () => {
  const vm = await newVm('barred1');
  const marked = startOf(vm, h1);
  await agents.must(h1, agentRoutes.vmStart, marked);
  const live = (await virsh(h1, ['dumpxml', vm.name])).stdout;
  await close(vm, h1);
  // Somebody lives whose grant says just this run: the barrier stands all the same.
  const grant = `/run/fenceline/grants/${vm.vmUuid}`;
  const forge = `s=$(cut -d' ' -f22 /proc/$$/stat); echo "${epoch} $$ $s" >${grant}; virsh create /dev/stdin; rm ${grant}`;
  const forged = await h1.host.exec(['sh', '-c', `cat | { ${forge}; }`], { input: live });
  expect(forged.stderr).toContain(`run ${epoch} was fenced (it is closed here up to run ${epoch})`);
  expect(await pids(h1, vm)).toBe('');
});

test('F34: another hook that refuses later leaves no grant, and the next start is not hindered', async () => {
  const vm = await newVm('refused1');
  const script = '#!/bin/sh\n[ "$2" != start ] || { echo no >&2; exit 3; }\n';
  await h1.host.mustExec(['sh', '-c', `cat >${ANOTHER}; chmod 755 ${ANOTHER}`], { input: script });
  expect(await agents.call(h1, agentRoutes.vmStart, startOf(vm, h1))).toMatchObject({
    code: 'LIBVIRT_FAILED',
  });
  expect(await h1.host.mustExec(['ls', '/run/fenceline/grants'])).toBe('');
  await h1.host.mustExec(['rm', ANOTHER]);
  expect(await start(vm, h1)).toMatchObject({ state: 'Running' });
  await close(vm, h1);
});

test('F34: a hook that was taken away, or can not run, is noticed and put back', async () => {
  for (const breaking of [
    `rm ${HOOK}`,
    `chmod 644 ${HOOK}`,
    `printf '#!/nowhere\\n' >/etc/x && chmod 755 /etc/x && mv /etc/x ${HOOK}`,
    `rm -r ${path.dirname(HOOK)} && kill -9 $(cat /run/libvirtd.pid)`,
  ]) {
    await h1.host.mustExec(['sh', '-c', breaking]);
    await eventually(`it is put back after: ${breaking}`, async () => {
      const found = await h1.host.exec(['stat', '-c', '%a %s', HOOK]);
      return /^755 \d{6,}$/m.test(found.stdout) && (await asksTheHook(h1));
    });
  }
  await hookIs(h1, true);
  // What can't be repaired is told.
  await h1.host.mustExec(['sh', '-c', `rm ${HOOK} && mkdir ${HOOK}`]);
  await hookIs(h1, false);
  expect((await hookOf(h1))?.why).toContain('50-fenceline');
  await h1.host.mustExec(['rmdir', HOOK]);
  await hookIs(h1, true);
  expect(await virsh(h1, ['start', 'web1'])).toMatchObject(refused);
});

test('F34: libvirt restarted and killed beside protected VMs: none dies, none is started', async () => {
  const [vm, idle] = [await newVm('lives1'), await newVm('auto1')];
  const { pid } = await start(vm, h1);
  expect(await virsh(h1, ['autostart', idle.name])).toMatchObject({ code: 0 });
  for (const signal of ['TERM', 'KILL', 'KILL']) {
    await h1.host.mustExec(['rm', '-f', '/run/libvirt/qemu/autostarted']);
    await restartLibvirt(h1, signal);
    expect([await stateOf(h1, vm), await pids(h1, vm)]).toEqual(['running', String(pid)]);
  }
  const log = await h1.host.mustExec(['cat', h1.host.logOf('libvirtd')]);
  expect(log).toMatch(/Fenceline: auto1 is refused/);
  expect(await pids(h1, idle)).toBe('');
  await virsh(h1, ['autostart', '--disable', idle.name]);
  await close(vm, h1);
});

test('F34: libvirt killed in the middle of starts: no VM is seen twice or wedged for ever', async () => {
  const [vm, beside] = [await newVm('cut1'), await newVm('beside1')];
  const { pid } = await start(beside, h1);
  const killer = path.join(agents.dir, 'killer');
  const source = path.join(import.meta.dirname, 'killer.c');
  execFileSync('cc', ['-O2', '-o', killer, source]);
  await h1.host.mustExec(['cp', killer, ANOTHER]);
  let wedges = 0;
  // Before, in and behind the window that leaves a wedge; more of it only if none was hit.
  for (const afterUs of [0, 5_000, 1_200, 1_800, 2_400, 900, 3_000, 1_500]) {
    if (wedges > 0) break;
    const before = await h1.host.mustExec(['cat', '/run/libvirtd.pid']);
    await h1.host.mustExec(['sh', '-c', `echo ${afterUs} >/run/kill-after-us`]);
    const called = await agents.call(h1, agentRoutes.vmStart, startOf(vm, h1));
    expect(called).not.toMatchObject({ ok: true, rsp: { state: 'Running' } });
    await libvirtAnswers(h1, before);
    if ((await stateOf(h1, vm)) === 'paused') wedges += 1;
    await eventually(
      `libvirt says of a start that was cut off after ${afterUs} us: off`,
      async () => {
        return (await stateOf(h1, vm)) === 'shut off';
      },
    );
    expect(await pids(h1, vm)).toBe('');
    await eventually('its run is proven over', async () => {
      const closed = await agents.call(h1, agentRoutes.vmDestroy, closeOf(vm));
      return closed.ok && closed.rsp.verdict?.qemuConfirmedDead === true;
    });
    expect(await pids(h1, beside)).toBe(String(pid));
  }
  await h1.host.mustExec(['rm', ANOTHER]);
  expect(wedges).toBe(1);
  await libvirtAnswers(h1);
  await eventually('its grant is gone', async () => {
    return (await h1.host.mustExec(['ls', '/run/fenceline/grants'])) === '';
  });
  expect(await start(vm, h1)).toMatchObject({ state: 'Running' });
  await close(vm, h1);
  await close(beside, h1);
});

test('F34: after a boot nothing protected starts before the agent, and the list is there', async () => {
  expect(await virsh(h1, ['autostart', 'web1'])).toMatchObject({ code: 0 });
  await h1.host.killService('agent');
  await h1.host.mustExec(['rm', '/run/fenceline/protected']);
  await h1.host.mustExec(['rm', '-f', '/run/libvirt/qemu/autostarted']);
  await restartLibvirt(h1, 'KILL');
  expect(await virsh(h1, ['start', 'web1'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the agent of this host has not run since the boot'),
  });
  expect(await pids(h1, vms[0] ?? { vmUuid: '' })).toBe('');
  await h1.host.releaseService('agent');
  await agents.answers(h1);
  await h1.host.mustExec(['test', '-s', '/run/fenceline/protected']);
  const first = vms[0];
  if (first === undefined) throw new Error('no VM');
  expect(await start(first, h1)).toMatchObject({ state: 'Running' });
  await close(first, h1);
});
