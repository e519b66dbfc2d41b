import { existsSync, rmSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import type { Lab } from './client.js';
import type { HostHandle } from './hostHandle.js';
import { LabError } from './labError.js';
import { plainName, type HostName } from './plan/names.js';
import { sharedStorage } from './plan/paths.js';

/** virsh waits for ever on hung storage: no call without a limit. */
const virshLimit = { timeoutMs: 30_000 };

/** VMs by hand: what an operator with virsh would do, on several hosts at once. */
export class Vms {
  constructor(private readonly lab: Lab) {}

  /** A fresh disk, and the VM defined on every host that is on. Resolves with its uuid. */
  async create(name: string, uuid: string = randomUUID()): Promise<string> {
    await this.lab.createDisk(name);
    const xml = await this.xml(name, uuid);
    await this.everywhere((host) =>
      host.mustExec(['sh', '-c', 'cat | virsh -q define /dev/stdin'], {
        ...virshLimit,
        input: xml,
      }),
    );
    return uuid;
  }

  async xml(name: string, uuid?: string): Promise<string> {
    const disk = `${sharedStorage}/${plainName(name, 'VM')}.img`;
    return this.lab.domainXml({ name, disk, ...(uuid !== undefined && { uuid }) });
  }

  async start(name: string, host: HostName): Promise<void> {
    await this.lab.host(host).mustExec(['virsh', '-q', 'start', name], virshLimit);
  }

  async destroy(name: string, host: HostName): Promise<void> {
    await this.lab.host(host).mustExec(['virsh', '-q', 'destroy', name], virshLimit);
  }

  /** One line per host and VM. */
  async list(): Promise<string[]> {
    const lists = await this.everywhere(async (host) => {
      const text = await host.mustExec(['virsh', '-q', 'list', '--all'], virshLimit);
      const lines = text.split('\n').filter((line) => line.trim() !== '');
      return lines.map((line) => `${host.name.padEnd(4)} ${line.trim()}`);
    });
    return lists.flat();
  }

  async delete(name: string): Promise<void> {
    const file = this.lab.paths.disk(plainName(name, 'VM'));
    if (!existsSync(file)) throw new LabError(`There is no disk ${name}.`);
    await this.everywhere(async (host) => {
      await host.exec(['virsh', '-q', 'destroy', name], virshLimit);
      await host.exec(['virsh', '-q', 'undefine', name], virshLimit);
    });
    rmSync(file);
  }

  private async everywhere<T>(work: (host: HostHandle) => Promise<T>): Promise<T[]> {
    const { nodes } = await this.lab.status();
    const on = nodes.filter((node) => node.power === 'on' && /^h\d/.test(node.name));
    return Promise.all(on.map((node) => work(this.lab.host(node.name))));
  }
}
