import { sleep, until } from '../limits.js';
import { Vms } from '../vms.js';
import {
  counterOf,
  expectThat,
  fallsSilent,
  qemuPid,
  sshWorks,
  startVm,
  thenHeal,
  writes,
  type LabPromise,
} from './kit.js';

/** Hosts: isolated from each other, with a power that cuts cleanly. */
export const hostPromises: readonly LabPromise[] = [
  {
    name: 'a guest stamps its disk, and the checker says one writer',
    async check(lab) {
      const vm = await startVm(lab, lab.host('h1'));
      const { verdict } = lab.check(vm.name);
      expectThat(verdict === 'oneWriter', `the checker says ${verdict}`);
      await new Vms(lab).delete(vm.name);
    },
  },
  {
    name: 'pgrep and pkill in a host reach that host only',
    async check(lab) {
      const [h1, h2] = [lab.host('h1'), lab.host('h2')];
      const [one, two] = [await startVm(lab, h1), await startVm(lab, h2)];
      expectThat((await qemuPid(h1, two.uuid)) === undefined, "h1 sees h2's qemu");
      await h1.mustExec(['pkill', '-9', '-f', '[q]emu-system']);
      await writes(lab, two.name);
      await fallsSilent(lab, one.name);
      await Promise.all([one, two].map((vm) => new Vms(lab).delete(vm.name)));
    },
  },
  {
    name: 'a restart after a stop on another host is one writer',
    async check(lab) {
      const vms = new Vms(lab);
      const vm = await startVm(lab, lab.host('h1'));
      await vms.destroy(vm.name, 'h1');
      await vms.start(vm.name, 'h2');
      await writes(lab, vm.name);
      const check = lab.check(vm.name);
      expectThat(check.verdict === 'oneWriter', check.reasons.join(' '));
      expectThat(check.writers.length === 2, `${check.writers.length} lives seen, not 2`);
      await vms.delete(vm.name);
    },
  },
  {
    name: "a power cut ends its own host's VMs and nothing else, at once",
    async check(lab) {
      const [h1, h2] = [lab.host('h1'), lab.host('h2')];
      const [one, two] = [await startVm(lab, h1), await startVm(lab, h2)];
      await thenHeal(h1, async () => {
        await h1.power('off');
        const stopped = counterOf(lab, one.name);
        await writes(lab, two.name);
        expectThat(counterOf(lab, one.name) === stopped, 'a VM outlived the power cut');
        expectThat((await h1.status()).power === 'off', 'h1 does not read as off');
      });
      await Promise.all([one, two].map((vm) => new Vms(lab).delete(vm.name)));
    },
  },
  {
    name: 'a boot brings a host back with another boot id, the same identity and its services',
    async check(lab) {
      const h1 = lab.host('h1');
      const command = ['sleep', '1000'];
      await h1.startService('kept', { command, boot: true });
      await h1.startService('lost', { command });
      const facts =
        'cat /proc/sys/kernel/random/boot_id /etc/machine-id; virsh capabilities | grep -m1 uuid';
      const before = (await h1.mustExec(['sh', '-c', facts])).split('\n');
      await h1.mustExec(['sh', '-c', 'echo 1 > /var/lib/fenceline/mark; echo 1 > /run/mark']);
      await h1.power('off');
      await h1.power('on');
      const after = (await h1.mustExec(['sh', '-c', facts])).split('\n');
      expectThat(before[0] !== after[0], 'the boot id is the same after a reboot');
      expectThat(before.slice(1).join() === after.slice(1).join(), 'the host changed its identity');
      await h1.mustExec(['test', '-e', '/var/lib/fenceline/mark']);
      expectThat(
        (await h1.exec(['test', '-e', '/run/mark'])).code === 1,
        '/run outlived the power',
      );
      const names = (await h1.status()).services.map((service) => service.name);
      expectThat(names.includes('kept') && !names.includes('lost'), `services: ${names.join()}`);
      await sshWorks(lab, h1);
      await h1.stopService('kept');
    },
  },
  {
    name: 'a power cut during a boot ends it, and the host boots again afterwards',
    async check(lab) {
      const h1 = lab.host('h1');
      for (const ms of [0, 5, 20, 60, 120]) {
        await h1.power('off');
        const boot = h1.power('on').catch(() => 'cut short');
        await sleep(ms);
        await h1.power('off');
        await boot;
        expectThat((await h1.status()).power === 'off', `it is on after a cut ${ms} ms later`);
        await h1.power('on');
        await h1.mustExec(['virsh', '-q', 'list']);
      }
    },
  },
  {
    name: 'a service dies when told to and stays dead, is restarted when it dies by itself',
    async check(lab) {
      const h1 = lab.host('h1');
      const pid = async () => (await h1.status()).services.find((s) => s.name === 'work')?.pid;
      await h1.startService('work', { command: ['sleep', '1000'], restartMs: 50 });
      const first = await pid();
      await h1.killService('work', true);
      const again = async () => ![undefined, first].includes(await pid());
      await until(again, { limitMs: 20_000, what: 'the restart' });
      await h1.killService('work');
      await sleep(200);
      expectThat((await pid()) === undefined, 'a killed service came back');
      await h1.releaseService('work');
      expectThat((await pid()) !== undefined, 'a released service does not run');
      await h1.stopService('work');
    },
  },
  {
    name: 'a VM outlives a kill of libvirtd, which comes back',
    async check(lab) {
      const h1 = lab.host('h1');
      const vm = await startVm(lab, h1);
      await h1.killService('libvirtd', true);
      await writes(lab, vm.name);
      const seen = async () =>
        (await h1.exec(['virsh', '-q', 'domstate', vm.name])).stdout.trim() === 'running';
      await until(seen, { limitMs: 20_000, what: 'libvirtd to know its VM again', everyMs: 100 });
      await new Vms(lab).delete(vm.name);
    },
  },
];
