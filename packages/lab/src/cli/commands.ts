import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { inNode } from '../cluster/configFiles.js';
import { LabError, UsageError } from '../labError.js';
import { faultList } from '../plan/faults.js';
import { nodeName } from '../plan/names.js';
import { missingPackages } from '../requirements.js';
import { cliProgram } from '../plan/programs.js';
import { execInNode } from './exec.js';
import type { OpenLab } from './openLab.js';
import { print, printCheck, printStatus } from './output.js';
import { powerDeviceMode } from './powerDeviceMode.js';
import { addServiceCommand } from './service.js';
import { addVmCommands } from './vm.js';

export function addCommands(program: Command, open: OpenLab): void {
  addLifeCommands(program, open);
  addHostCommands(program, open);
  addServiceCommand(program, open);
  addVmCommands(program, open);
  addDiskCommands(program, open);
}

function addLifeCommands(program: Command, open: OpenLab): void {
  program
    .command('up [hosts]')
    .description('bring up hosts h1 … hN (default 3), mgr and sw; adds hosts to a running lab')
    .option('--locks', 'image locks hold for the whole cluster (also: LAB_LOCKS=1)')
    .option('--with-me', 'the lab ends when the program that called this has ended')
    .action(async (hosts = '3', options: { locks?: true; withMe?: true }) => {
      const count = /^\d+$/.test(hosts) ? Number(hosts) : Number.NaN;
      if (Number.isNaN(count)) throw new UsageError(`'${hosts}' is no number of hosts.`);
      const begun = performance.now();
      const lab = open({
        ...(options.locks && { locks: true }),
        ...(options.withMe && { endsWithPid: process.ppid }),
      });
      await lab.up(count);
      print(`up in ${Math.round(performance.now() - begun)} ms: ${lab.paths.dir}`);
    });
  program
    .command('down')
    .description('end the lab; disks and logs stay unless --purge')
    .option('--purge', 'remove the lab directory, too')
    .action(async (options: { purge?: true }) => {
      const lab = open();
      await (options.purge ? lab.purge() : lab.down());
    });
  program
    .command('status')
    .description('show the nodes, their services and faults')
    .option('--json', 'as JSON')
    .action(async (options: { json?: true }) => {
      printStatus(await open().status(), options.json === true);
    });
  program
    .command('requirements')
    .description('print the Debian packages that are missing, one per line')
    .action(() => missingPackages().forEach((missing) => print(missing.package)));
}

function addHostCommands(program: Command, open: OpenLab): void {
  program
    .command('exec <node> <command...>')
    .description('run a command in a node (lab exec h1 -- virsh list); passes its exit code on')
    .passThroughOptions()
    .action(async (node: string, words: string[]) => {
      const command = words[0] === '--' ? words.slice(1) : words;
      process.exitCode = await execInNode(open().paths, nodeName(node), command);
    });
  program
    .command('fenceline [words...]')
    .description('the command line of the server that runs on mgr (lab fenceline status)')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: string[]) => {
      const lab = open();
      if (!existsSync(lab.mgr.pathOf(inNode.cliConfig)))
        throw new LabError('No server runs in this lab; scripts/demo --keep leaves one running.');
      process.exitCode = await execInNode(lab.paths, 'mgr', ['node', cliProgram, ...words]);
    });
  program
    .command('fault <host> <fault...>')
    .description(
      `hurt a host, or heal it:\n  ${faultList.join('\n  ')}\nor: fault pdu dead|lying|slow MS|stuck OUTLET|ok`,
    )
    .action(async (host: string, fault: string[]) => {
      if (host === 'pdu') await open().powerDevice(powerDeviceMode(fault));
      else await open().host(host).fault(fault.join(' '));
    });
  program
    .command('power <node> <action>')
    .description('on (waits for the boot), off (a power cut) or status')
    .action(async (node: string, action: string) => {
      const handle = open().node(nodeName(node));
      if (action === 'on' || action === 'off') await handle.power(action);
      else if (action === 'status') print((await handle.status()).power);
      else throw new UsageError(`'${action}' is not on, off or status.`);
    });
}

function addDiskCommands(program: Command, open: OpenLab): void {
  program
    .command('check <disk>')
    .description('who wrote to a disk: exit 0 one writer, 3 two writers, 4 no data')
    .option('--json', 'as JSON')
    .action((disk: string, options: { json?: true }) => {
      const result = open().check(disk);
      printCheck(result, options.json === true);
      process.exitCode = { oneWriter: 0, twoWriters: 3, noData: 4 }[result.verdict];
    });
  program
    .command('selftest')
    .description("check the lab's own promises, in a lab directory of its own")
    .option('--only <words>', 'only promises whose name contains this')
    .action(async (options: { only?: string }) => {
      const { runSelfTest } = await import('../selftest/runSelfTest.js');
      const ok = await runSelfTest({ only: options.only ?? '', say: print });
      process.exitCode = ok ? 0 : 1;
    });
}
