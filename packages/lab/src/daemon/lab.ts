import { mkdirSync } from 'node:fs';
import { removeLabGroup } from '../cgroups.js';
import { LabError } from '../labError.js';
import { hostNames, maxHosts, type HostName, type NodeName } from '../plan/names.js';
import { HostFaults } from './applyFault.js';
import { learnCapabilities } from './capabilities.js';
import { LabNode, type LabParts } from './labNode.js';
import { Network } from './network.js';
import { makeSshKey } from './nodeDir.js';
import type { Outlets } from './powerDevice.js';

/** The nodes of one lab, and bringing all of them up and down. */
export class LabNodes {
  readonly nodes = new Map<NodeName, LabNode>();
  private readonly faults = new Map<NodeName, HostFaults>();
  private network: Network | undefined;
  private work: Promise<unknown> = Promise.resolve();
  private closing = false;

  constructor(
    private readonly parts: LabParts,
    private readonly changed: () => void,
  ) {}

  /** Makes sure that `count` hosts exist and are on, beside `sw` and `mgr`. Others are left alone. */
  up(count: number): Promise<void> {
    if (!Number.isInteger(count) || count < 0 || count > maxHosts) {
      return Promise.reject(new LabError(`A lab has 0 to ${maxHosts} hosts, not ${count}.`));
    }
    if (this.closing) return Promise.reject(new LabError('The lab is ending.'));
    const work = this.work.then(() => this.bringUp(count));
    this.work = work.catch(() => undefined);
    return work;
  }

  /** Ends everything, also an `up` under way; resolves when nothing is left but files. */
  async down(): Promise<void> {
    this.closing = true;
    const off = () => Promise.all([...this.nodes.values()].map((node) => node.powerOff()));
    await off();
    await this.work;
    await off();
    await Promise.all([...this.nodes.values()].map((node) => node.remove()));
    removeLabGroup(this.parts.cgroups, this.parts.paths.groupName);
  }

  node(name: NodeName): LabNode {
    const node = this.nodes.get(name);
    if (node) return node;
    throw new LabError(`There is no ${name} in this lab. There are: ${this.names().join(', ')}.`);
  }

  faultsOf(host: HostName): HostFaults {
    const faults = this.faults.get(this.node(host).name);
    if (faults) return faults;
    throw new LabError(`${host} was never switched on.`);
  }

  async power(name: NodeName, on: boolean): Promise<void> {
    const node = this.node(name);
    if (name === 'sw') throw new LabError('sw is the lab itself: use lab down.');
    if (on) return node.boot(this.network);
    await node.powerOff();
  }

  /** What the power device switches. */
  get outlets(): Outlets {
    return {
      isOn: (host) => this.node(host).current !== undefined,
      off: (host) => this.power(host, false),
      // A power device does not wait for a boot.
      on: async (host) => {
        const boot = this.power(host, true);
        boot.catch(() => undefined);
        while (!this.node(host).current) {
          const done = await Promise.race([boot.then(() => true), tick()]);
          if (done) break;
        }
      },
      list: () => this.names().filter((name): name is HostName => name !== 'sw' && name !== 'mgr'),
    };
  }

  private names(): NodeName[] {
    return [...this.nodes.keys()];
  }

  private async bringUp(count: number): Promise<void> {
    mkdirSync(this.parts.paths.share, { recursive: true });
    await makeSshKey(this.parts.paths.sshKey, 'fenceline-lab');
    await this.startSwitch();
    if (this.closing) throw new LabError('The lab is ending.');
    const wanted: NodeName[] = ['mgr', ...hostNames(count)];
    const made = wanted.map((name) => this.make(name));
    const booted = await Promise.allSettled(made.map((node) => node.boot(this.network)));
    const failed = booted.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    await learnCapabilities(
      this.parts,
      made.filter((node) => node.isHost),
    );
  }

  private async startSwitch(): Promise<void> {
    const sw = this.make('sw');
    if (sw.current) return;
    await sw.boot(undefined);
    this.network = new Network(sw.on.life.init);
    await this.network.start();
  }

  private make(name: NodeName): LabNode {
    const existing = this.nodes.get(name);
    if (existing) return existing;
    const node = new LabNode(name, this.parts, this.changed);
    this.nodes.set(name, node);
    if (this.network && node.isHost) this.faults.set(name, new HostFaults(node, this.network));
    return node;
  }
}

function tick(): Promise<false> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(false), 10);
  });
}
