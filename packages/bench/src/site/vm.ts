import { agentRoutes, type DiskRef, type StartVmRsp } from '@fenceline/protocol';
import type { BenchHost, BenchSite } from './site.js';

/** The guest boots within 0.16 s; from then on it writes 18 times a second. */
const SETTLE_MS = 300;
const SHUT_OFF_LIMIT_MS = 15_000;

/** A run of the VM that is measured. */
export interface RunningVm {
  readonly name: string;
  readonly vmUuid: string;
  readonly epoch: number;
  /** Of its qemu, as its host sees it. */
  readonly pid: number;
  readonly disks: DiskRef[];
}

/** One VM of the lab's guest, started anew for each measurement. */
export class BenchVm {
  #epoch = 0;

  private constructor(
    private readonly site: BenchSite,
    private readonly on: BenchHost,
    private readonly vm: { name: string; vmUuid: string; xml: string; disk: string },
  ) {}

  static async define(site: BenchSite, on: BenchHost, name: string): Promise<BenchVm> {
    const disk = await site.lab.createDisk(name);
    const xml = await site.lab.domainXml({ name, disk: disk.path });
    await on.host.mustExec(['sh', '-c', 'cat | virsh define /dev/stdin'], { input: xml });
    const vmUuid = /<uuid>(.*?)<\/uuid>/.exec(xml)?.[1] ?? '';
    return new BenchVm(site, on, { name, vmUuid, xml, disk: disk.path });
  }

  /** A fresh run, through the host's agent, with an epoch of its own; its guest writes. */
  async start(): Promise<RunningVm> {
    const { name, vmUuid, xml, disk } = this.vm;
    await this.#shutOff();
    const epoch = (this.#epoch += 1);
    const { bootId } = this.on;
    const command = { vmUuid, epoch, bootId, domainXml: xml, closedRuns: [] };
    const { rsp } = await this.site.call(this.on, { route: agentRoutes.vmStart, command });
    const pid = pidOf(rsp);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    return { name, vmUuid, epoch, pid, disks: [{ kind: 'file', source: disk }] };
  }

  /** @throws Error if the process of that run is still there: then nothing was fenced. */
  async mustBeGone({ pid }: RunningVm): Promise<void> {
    const { code } = await this.on.helper.do({
      do: 'run',
      command: ['test', '!', '-e', `/proc/${pid}`],
    });
    if (code !== 0) throw new Error(`qemu ${pid} is still there`);
  }

  /** What ended the last run may have left libvirt in the middle of something. */
  async #shutOff(): Promise<void> {
    const until = performance.now() + SHUT_OFF_LIMIT_MS;
    const command = ['virsh', 'domstate', this.vm.vmUuid];
    for (;;) {
      const { output = '' } = await this.on.helper.do({ do: 'run', command });
      if (output.trim() === 'shut off') return;
      if (performance.now() > until) throw new Error(`libvirt says of the VM: ${output.trim()}`);
    }
  }
}

function pidOf({ pid, state }: StartVmRsp): number {
  if (pid === null) throw new Error(`the VM did not start: ${state}`);
  return pid;
}
