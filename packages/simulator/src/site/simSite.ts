import type { CoreOptions, Settings } from '@fenceline/management';
import { checkDisk, type DiskVerdict } from '../checker/checkDisk.js';
import { Listeners } from '../ports/connection.js';
import { domainText } from '../world/domainText.js';
import type { SimHost } from '../world/host.js';
import { World } from '../world/world.js';
import { SimAgent } from './simAgent.js';
import { SimServer } from './simServer.js';

export interface SimSiteOptions {
  seed: number;
  /** Default 3: `h1`, `h2`, `h3`. */
  hosts?: number;
  clusterLocks?: boolean;
  settings?: (settings: Settings) => void;
  core?: CoreOptions;
}

/** A whole site: a world, an agent on every host, one management server. */
export class SimSite {
  readonly world: World;
  readonly server: SimServer;
  /** What the agents were asked, and answers in their place (F32). */
  readonly listeners = new Listeners();
  readonly #agents = new Map<string, SimAgent>();

  constructor(options: SimSiteOptions) {
    const { seed, hosts = 3, clusterLocks = false } = options;
    this.world = new World({ seed, clusterLocks });
    const { listeners } = this;
    for (let n = 1; n <= hosts; n += 1) {
      const host = this.world.addHost({ name: `h${n}`, address: `10.77.1.${10 + n}` });
      this.#agents.set(host.name, new SimAgent(host, listeners));
      host.powerOn();
    }
    this.server = new SimServer(this.world, listeners, options);
  }

  agent(host: string): SimAgent {
    const agent = this.#agents.get(host);
    if (agent === undefined) throw new Error(`there is no host ${host}`);
    return agent;
  }

  /** A fresh disk, and the VM defined on every host. */
  defineVm(name: string): { uuid: string; disk: string } {
    const uuid = this.world.random.uuid();
    const disk = diskOf(name);
    this.world.storage.createDisk(disk);
    const xml = domainText({ uuid, name, disks: [disk] });
    for (const host of this.world.hosts) host.definitions.set(uuid, { name, xml });
    return { uuid, disk };
  }

  /** The independent checker's word about the disk of a VM. */
  check(name: string): DiskVerdict {
    return checkDisk(this.world.storage.history(diskOf(name)));
  }

  /** Hosts on which a qemu of this VM has a process now. */
  runningOn(name: string): SimHost[] {
    return this.world.hosts.filter((host) =>
      host.processes.qemus.some(({ args }) => args.name === name),
    );
  }
}

function diskOf(name: string): string {
  return `/srv/shared/${name}.img`;
}
