import type { Lab } from '../client.js';
import type { HostHandle } from '../hostHandle.js';
import { LabError } from '../labError.js';
import { sleep, until } from '../limits.js';
import { Vms } from '../vms.js';
import {
  expectThat,
  fallsSilent,
  isSilent,
  qemuPid,
  sshFromMgr,
  sshWorks,
  startVm,
  thenHeal,
  waitsForStorage,
  writes,
  type LabPromise,
} from './kit.js';

/** How an ssh client sees a host with each fault. */
const sshSeen = [
  ['ssh-drop', /timed out/],
  ['ssh-reject', /refused/],
  ['ssh-unreach', /No route/],
  ['mute', /timed out/],
  ['sshd-kill', /refused/],
  ['sshd-hang', /timed out/],
  ['freeze', /timed out/],
  ['mgmt-cut', /timed out|No route/],
  ['stor-cut', /^answered$/],
] as const;

/** Every fault does what it says, and its opposite undoes it. */
export const faultPromises: readonly LabPromise[] = [
  ...sshSeen.map(([fault, seen]): LabPromise => ({
    name: `${fault}: an ssh client sees ${seen.source.replaceAll(/[\^$]/g, '')}, and all is well after clear`,
    async check(lab) {
      const h1 = lab.host('h1');
      await thenHeal(h1, async () => {
        await h1.fault(fault);
        const answer = await sshFromMgr(lab, h1);
        expectThat(seen.test(answer), `the client saw: ${answer}`);
      });
      await sshWorks(lab, h1);
    },
  })),
  {
    name: 'mute: neighbours are still answered by ARP, and by nothing else; ssh-unreach concerns SSH only',
    async check(lab) {
      const h1 = lab.host('h1');
      await thenHeal(h1, async () => {
        await h1.fault('ssh-unreach');
        expectThat((await signsOf(lab, h1)) === 'ARP ICMP', 'ssh-unreach: not only SSH');
        await h1.fault('mute');
        expectThat((await signsOf(lab, h1)) === 'ARP', 'mute: not ARP alone');
        await h1.fault('clear');
        await h1.fault('mgmt-cut');
        expectThat((await signsOf(lab, h1)) === '', 'a cut host is answered for');
      });
      expectThat((await signsOf(lab, h1)) === 'ARP ICMP', 'not well after clear');
    },
  },
  {
    name: 'freeze stops a VM exactly, thaw lets it write again at once',
    async check(lab) {
      const h1 = lab.host('h1');
      const vm = await startVm(lab, h1);
      await thenHeal(h1, async () => {
        await h1.fault('freeze');
        await fallsSilent(lab, vm.name);
        await isSilent(lab, vm.name);
        await h1.fault('thaw');
        await writes(lab, vm.name);
      });
      await new Vms(lab).delete(vm.name);
    },
  },
  {
    name: 'a frozen host that is switched off does not write again',
    async check(lab) {
      const h1 = lab.host('h1');
      const vm = await startVm(lab, h1);
      await thenHeal(h1, async () => {
        await h1.fault('freeze');
        await fallsSilent(lab, vm.name);
        const before = lab.check(vm.name).counter;
        await h1.power('off');
        expectThat(lab.check(vm.name).counter === before, 'it wrote while it was switched off');
      });
      await new Vms(lab).delete(vm.name);
    },
  },
  ...(['storage hang', 'storage rohang', 'storage eio', 'stor-cut'] as const).map(
    (fault): LabPromise => ({
      name: `${fault}: the VM's writes stop, and go on afterwards`,
      async check(lab) {
        const h1 = lab.host('h1');
        const vm = await startVm(lab, h1);
        await thenHeal(h1, async () => {
          await h1.fault(fault);
          await fallsSilent(lab, vm.name);
          await isSilent(lab, vm.name);
        });
        await writes(lab, vm.name);
        expectThat(
          lab.check(vm.name).verdict === 'oneWriter',
          'the checker counts it as a conflict',
        );
        await new Vms(lab).delete(vm.name);
      },
    }),
  ),
  {
    name: 'storage faults hurt one host only',
    async check(lab) {
      const [h1, h2] = [lab.host('h1'), lab.host('h2')];
      const vm = await startVm(lab, h2);
      await thenHeal(h1, async () => {
        await h1.fault('storage hang');
        await writes(lab, vm.name);
      });
      await new Vms(lab).delete(vm.name);
    },
  },
  {
    name: 'slow storage slows a VM down',
    async check(lab) {
      const h1 = lab.host('h1');
      const vm = await startVm(lab, h1);
      await thenHeal(h1, async () => {
        await h1.fault('storage slow 200');
        await writes(lab, vm.name);
        const before = lab.check(vm.name).counter;
        await sleep(1_500);
        const steps = lab.check(vm.name).counter - before;
        expectThat(steps <= 4, `${steps} steps in 1.5 s`);
      });
      await new Vms(lab).delete(vm.name);
    },
  },
  {
    name: 'libvirtd-off refuses, libvirtd-stop hangs, libvirtd-ok heals',
    async check(lab) {
      const h1 = lab.host('h1');
      const virsh = () => h1.exec(['virsh', '-q', 'list'], { timeoutMs: 1_500 });
      await thenHeal(h1, async () => {
        await h1.fault('libvirtd-off');
        await sleep(700);
        expectThat(/Connection refused|No such file/.test((await virsh()).stderr), 'it answers');
        await h1.fault('libvirtd-ok');
        await until(async () => (await virsh()).code === 0, { limitMs: 20_000, what: 'libvirtd' });
        await h1.fault('libvirtd-stop');
        expectThat((await virsh()).timedOut, 'a stopped libvirtd answers');
      });
      expectThat((await virsh()).code === 0, 'libvirtd does not answer after clear');
    },
  },
  {
    name: 'slow takes the CPU away, pids takes processes away',
    async check(lab) {
      const h1 = lab.host('h1');
      const spin = ['timeout', '1', 'sh', '-c', 'while :; do :; done'];
      const usedMs = async () => {
        const text = await h1.exec(['bash', '-c', `TIMEFORMAT=%U; time ${quote(spin)}`]);
        return Number(text.stderr.trim()) * 1_000;
      };
      await thenHeal(h1, async () => {
        await h1.fault('slow 10');
        const ms = await usedMs();
        expectThat(ms < 300, `used ${ms} ms of CPU in a second at 10 percent`);
        await h1.fault('fast');
        await h1.fault('pids 3');
        const full = await h1.exec(['sh', '-c', 'for i in 1 2 3 4 5 6; do sleep 1 & done; wait']);
        expectThat(/fork/i.test(full.stderr), 'a seventh process could be made');
      });
    },
  },
  {
    name: 'memory-full: no login is answered any more, memory-ok heals',
    needs: 'memory-full',
    async check(lab) {
      const h1 = lab.host('h1');
      await thenHeal(h1, async () => {
        await h1.fault('memory-full');
        const answer = await sshFromMgr(lab, h1);
        expectThat(!/^answered$/.test(answer), `the client saw: ${answer}`);
        await h1.fault('memory-ok');
        await sshWorks(lab, h1);
      });
    },
  },
  {
    name: 'kill -9 while a write hangs: zombie leader, worker in D, empty pgrep, and a late write',
    async check(lab) {
      const h1 = lab.host('h1');
      const vm = await startVm(lab, h1);
      await thenHeal(h1, async () => {
        await h1.fault('storage rohang');
        const pid = await killWhileItHangs(h1, vm.uuid);
        const states = `cat /proc/${pid}/task/*/stat`;
        const zombie = async () => / Z /.test((await h1.exec(['cat', `/proc/${pid}/stat`])).stdout);
        await until(zombie, { limitMs: 20_000, what: 'the zombie' });
        expectThat(/ D /.test((await h1.exec(['sh', '-c', states])).stdout), 'no thread is in D');
        expectThat((await qemuPid(h1, vm.uuid)) === undefined, 'pgrep -f sees it');
        const before = lab.imageOf(vm.name);
        await h1.fault('storage ok');
        const gone = async () => (await h1.exec(['test', '-e', `/proc/${pid}`])).code !== 0;
        await until(gone, { limitMs: 20_000, what: 'the end of the zombie' });
        expectThat(!before.equals(lab.imageOf(vm.name)), 'the late write did not reach the disk');
      });
      await new Vms(lab).delete(vm.name);
    },
  },
  {
    name: 'a late write after a start elsewhere reaches the disk, although nobody runs',
    async check(lab) {
      const [h1, h2] = [lab.host('h1'), lab.host('h2')];
      const vm = await startVm(lab, h1);
      await thenHeal(h1, async () => {
        await h1.fault('storage rohang');
        await killWhileItHangs(h1, vm.uuid);
        await new Vms(lab).start(vm.name, h2.name);
        await writes(lab, vm.name);
        // While nobody runs, nothing else changes the image. The checker may or may not see it: a
        // journal entry that lands in the place of its successor's looks as if it came in time.
        await new Vms(lab).destroy(vm.name, h2.name);
        expectThat(lab.check(vm.name).verdict === 'oneWriter', 'two writers too early');
        const before = lab.imageOf(vm.name);
        await h1.fault('storage ok');
        const landed = () => !lab.imageOf(vm.name).equals(before);
        await until(landed, { limitMs: 20_000, what: 'the late write to land' });
      });
      await new Vms(lab).delete(vm.name);
    },
  },
  {
    name: 'split brain on the default share: both start, the checker says two writers',
    async check(lab) {
      const vm = await startVm(lab, lab.host('h1'));
      await new Vms(lab).start(vm.name, 'h2');
      const found = () => lab.check(vm.name).verdict === 'twoWriters';
      await until(found, { limitMs: 20_000, what: 'the checker to see two writers' });
      await new Vms(lab).delete(vm.name);
    },
  },
];

/** What `mgr` gets from a host's kernel within a second: `ARP ICMP`, one of them, or nothing. */
async function signsOf(lab: Lab, { address }: HostHandle): Promise<string> {
  await lab.mgr.mustExec(['ip', 'neigh', 'flush', 'to', address]);
  const ping = await lab.mgr.exec(['ping', '-qc1', '-W1', address]);
  const neighbour = await lab.mgr.mustExec(['ip', 'neigh', 'show', 'to', address]);
  const signs = [neighbour.includes('lladdr') ? 'ARP' : '', ping.code === 0 ? 'ICMP' : ''];
  return signs.filter((sign) => sign !== '').join(' ');
}

/** SIGKILL to a VM's qemu while one of its requests hangs. */
async function killWhileItHangs(host: HostHandle, uuid: string): Promise<number> {
  const pid = await qemuPid(host, uuid);
  if (pid === undefined) throw new LabError('There is no qemu.');
  await waitsForStorage(host, pid);
  await host.mustExec(['kill', '-9', String(pid)]);
  return pid;
}

function quote(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(' ');
}
