import type { Command } from 'commander';
import { Vms } from '../vms.js';
import { hostName } from '../plan/names.js';
import type { OpenLab } from './openLab.js';
import { print } from './output.js';

/** VMs by hand, for tests and for looking around; no server, no agent. */
export function addVmCommands(program: Command, open: OpenLab): void {
  const vm = program.command('vm').description('VMs by hand');
  vm.command('create <name>')
    .description('make a disk with the guest on it and define the VM on all hosts that are on')
    .option('--uuid <uuid>', 'default: random')
    .action(async (name: string, options: { uuid?: string }) => {
      print(await new Vms(open()).create(name, options.uuid));
    });
  vm.command('xml <name>')
    .description('print the domain of a disk, to define it by other means')
    .option('--uuid <uuid>', 'default: random')
    .action(async (name: string, options: { uuid?: string }) => {
      print(await new Vms(open()).xml(name, options.uuid));
    });
  vm.command('start <name> <host>')
    .description('start it; nothing but a lock hinders a second host')
    .action((name: string, host: string) => new Vms(open()).start(name, hostName(host)));
  vm.command('destroy <name> <host>')
    .description('virsh destroy')
    .action((name: string, host: string) => new Vms(open()).destroy(name, hostName(host)));
  vm.command('list')
    .description('state of every VM on every host that is on')
    .action(async () => {
      for (const line of await new Vms(open()).list()) print(line);
    });
  vm.command('delete <name>')
    .description('destroy and undefine it everywhere and remove its disk')
    .action((name: string) => new Vms(open()).delete(name));
}
