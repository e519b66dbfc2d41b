import type { DemoFault, DemoSite, DiskWord } from '@fenceline/common/demo';
import type { Lab } from '../client.js';
import { FencelineCluster } from '../cluster/cluster.js';
import type { DiskCheck } from '../disk/checkDisk.js';
import type { HostHandle } from '../hostHandle.js';

export interface LabDemoOptions {
  lab: Lab;
  powerDevices: boolean;
  tell: (sentence: string) => void;
}

const HOSTS = 3;

/** The demo on real hosts: a fresh lab with Fenceline on it. */
export async function openLabDemoSite(options: LabDemoOptions): Promise<DemoSite> {
  const { lab, powerDevices, tell } = options;
  await lab.purge();
  tell(`${HOSTS} KVM hosts: namespaces with sshd, libvirtd, shared storage`);
  await lab.up(HOSTS);
  const cluster = await FencelineCluster.start(lab, { tell });
  const hosts = await cluster.hosts();
  return {
    api: cluster.api,
    hosts: hosts.map((host) => cluster.addRequest(host, { power: powerDevices })),
    wallMs: () => Date.now(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    defineVm: (name) => cluster.defineVm(name, hosts),
    hurt: (host, fault) => hurt(lab.host(host), fault),
    storageReturns: (host) => lab.host(host).fault('storage ok'),
    check: async (vm) => wordOf(lab.check(vm)),
    close: async () => cluster.close(),
  };
}

async function hurt(host: HostHandle, fault: DemoFault): Promise<void> {
  if (fault === 'powerCut') {
    await host.power('off');
    return;
  }
  // Only writes hang: the guest's next one is on its way for sure when its qemu is killed.
  if (fault === 'stuck') await host.fault('storage rohang');
  await Promise.all([host.killService('agent'), host.killService('libvirtd')]);
}

function wordOf({ verdict, writers, reasons }: DiskCheck): DiskWord {
  const lives = `lives that wrote: ${writers.length}`;
  if (verdict === 'oneWriter')
    return { liveWriters: 1, text: `one writer at any moment (${lives})` };
  if (verdict === 'noData') return { liveWriters: 0, text: 'nothing was ever written' };
  return { liveWriters: 2, text: `TWO WRITERS (${lives}); ${reasons.join('; ')}` };
}
