import type { Random } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { SimHost, type HostOptions } from './host.js';
import { Network } from './network.js';
import { PowerOutlets } from './power.js';
import type { QemuArguments } from './qemu.js';
import { SharedStorage } from './storage.js';
import { Trace } from './trace.js';

export interface WorldOptions {
  seed: number;
  /** Image locks that hold for all hosts; without (NFS `nolock`) only fencing protects. */
  clusterLocks?: boolean;
}

/**
 * A site on virtual time. The same seed and the same calls give the same world, to the byte of its
 * trace. Nothing here knows of management or agent.
 */
export class World {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly trace: Trace;
  readonly network: Network;
  readonly storage: SharedStorage;
  readonly power: PowerOutlets;
  readonly #hosts = new Map<string, SimHost>();

  constructor(readonly options: WorldOptions) {
    this.random = seededRandom(options.seed);
    this.trace = new Trace(this.clock);
    this.network = new Network(this.clock, this.fork());
    this.storage = new SharedStorage(this.clock, this.fork());
    this.power = new PowerOutlets(this);
  }

  /** Chance of its own for one part, so that what one draws changes nothing for the others. */
  fork(): Random {
    return seededRandom(Math.floor(this.random.unit() * 2 ** 32));
  }

  addHost(options: HostOptions): SimHost {
    const host = new SimHost(this, options);
    this.#hosts.set(host.name, host);
    return host;
  }

  get hosts(): SimHost[] {
    return [...this.#hosts.values()];
  }

  /** @throws Error if there is none. */
  host(name: string): SimHost {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`there is no host ${name}`);
    return host;
  }

  /** Whoever has this address. */
  at(address: string): SimHost | undefined {
    return this.hosts.find((host) => host.address === address);
  }

  /** A disk of these that a living qemu holds, where locks hold for all hosts. */
  lockedDisk({ disks }: QemuArguments): string | undefined {
    if (this.options.clusterLocks !== true) return undefined;
    return disks.find((source) => this.storage.openWriters(source).length > 0);
  }
}
