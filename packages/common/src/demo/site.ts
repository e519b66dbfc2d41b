import type { AddHostRequest, apiRoutes, Client } from '@fenceline/protocol';

/** What is done to the host on which the VM runs. */
export type DemoFault =
  /** Its agent and libvirt die for good; the qemu lives on, and SSH works. */
  | 'leftover'
  /** Its power is cut. */
  | 'powerCut'
  /** Its storage hangs, and its agent and libvirt die for good: its qemu can't be ended. */
  | 'stuck';

/** The disk checker's word about one VM. */
export interface DiskWord {
  /** 1: one writer; 2: two lives could write at one moment, or a late write came; 0: no data. */
  liveWriters: number;
  /** For people. */
  text: string;
}

/** A site that the demo is played on: real hosts of the lab, or simulated ones. */
export interface DemoSite {
  /** The server's API as an administrator has it. */
  readonly api: Client<typeof apiRoutes>;
  /** Hosts to be added, the first one is the one that will be hurt. */
  readonly hosts: readonly AddHostRequest[];
  /** Time of day by which the server's events are stamped, milliseconds since 1970 UTC. */
  wallMs(): number;
  /** Lets time pass. */
  sleep(ms: number): Promise<void>;
  /** A fresh disk, and the VM defined on every host, running nowhere. */
  defineVm(name: string): Promise<void>;
  hurt(host: string, fault: DemoFault): Promise<void>;
  /** The storage of the host answers again. */
  storageReturns(host: string): Promise<void>;
  /** Reads the VM's disk, without asking anybody. */
  check(vm: string): Promise<DiskWord>;
  close(): Promise<void>;
}

/** A fresh site for one scenario. */
export type OpenDemoSite = (options: { powerDevices: boolean }) => Promise<DemoSite>;
