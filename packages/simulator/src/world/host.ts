import type { Random } from '@fenceline/common';
import { emptyHostMemory, type HostMemory } from '@fenceline/agent';
import type { SiblingKey } from '@fenceline/protocol';
import { Libvirtd, type LibvirtRecords } from './libvirtd.js';
import { Life } from './life.js';
import { ProcessTable } from './processes.js';
import { Qemu, type QemuArguments } from './qemu.js';
import type { World } from './world.js';

/** How soon the service manager begins a dead daemon again. */
const LIBVIRTD_RESTART_MS = 500;

/** How a service of the host stands. */
export type ServiceState = 'running' | 'stopped' | 'dead';

export interface HostOptions {
  name: string;
  address: string;
  cpus?: number;
  memoryMiB?: number;
}

/** A program that begins with each boot, as a unit of the host's service manager does. */
export interface BootService {
  readonly name: string;
  /** Begins a life of it; the life ends with the power at the latest. */
  begin(life: Life): void;
}

/** A KVM host: power, boots, processes, libvirt, sshd, records, and the programs that run on it. */
export class SimHost {
  readonly name: string;
  readonly address: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Survive a power cut. */
  readonly sshHostKey: string;
  readonly fenceKey: string;
  readonly definitions: LibvirtRecords['definitions'] = new Map();
  /** Entries of authorized_keys that the agent wrote. */
  siblings: readonly SiblingKey[] = [];
  /** Their forced command asks for an order token (F29a). */
  asksForTokens = false;
  memory: HostMemory = emptyHostMemory();
  /** The local disk with the synced state answers. */
  stateDiskAnswers = true;
  /** Guests react to a shutdown request. */
  guestsObey = false;

  bootId = '';
  #isOn = false;
  #isFrozen = false;
  sshd: ServiceState = 'dead';
  processes: ProcessTable;
  #active: LibvirtRecords['active'] = new Map();
  #libvirtd: Libvirtd | undefined;
  #libvirtdStays = false;
  readonly #lives = new Set<Life>();
  readonly #services: BootService[] = [];
  readonly #onPowerOff = new Set<() => void>();

  constructor(
    readonly world: World,
    options: HostOptions,
  ) {
    this.name = options.name;
    this.address = options.address;
    this.cpus = options.cpus ?? 8;
    this.memoryMiB = options.memoryMiB ?? 8_192;
    this.sshHostKey = `ssh-ed25519 ${keyText(world.random)}`;
    this.fenceKey = `ssh-ed25519 ${keyText(world.random)}`;
    this.processes = new ProcessTable(world.clock, 0);
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Undefined: nobody listens on its socket. */
  get libvirtd(): Libvirtd | undefined {
    return this.#libvirtd;
  }

  /** Begins with each boot from now on, and now if the host is on. */
  addService(service: BootService): void {
    this.#services.push(service);
    if (this.#isOn) service.begin(this.newLife(`${service.name} on ${this.name}`));
  }

  /** A life of a program on this host: it freezes and ends with it. */
  newLife(name: string): Life {
    const life = new Life(name);
    this.#lives.add(life);
    life.onEnd(() => this.#lives.delete(life));
    if (this.#isFrozen) life.freeze();
    return life;
  }

  powerOn(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    this.bootId = this.world.random.uuid();
    this.processes = new ProcessTable(this.world.clock, this.world.clock.monotonicMs());
    this.#active = new Map();
    this.memory = { disk: this.memory.disk, run: emptyHostMemory().run };
    this.world.trace.add(this.name, `power on, boot ${this.bootId}`);
    this.sshd = 'running';
    this.#libvirtdStays = false;
    this.startLibvirtd();
    for (const service of this.#services)
      service.begin(this.newLife(`${service.name} on ${this.name}`));
  }

  /** A power cut: everything ends at once, nothing is told to anybody. */
  powerOff(): void {
    if (!this.#isOn) return;
    this.world.trace.add(this.name, 'power off');
    this.#isOn = false;
    this.#isFrozen = false;
    this.sshd = 'dead';
    for (const life of [...this.#lives]) life.end();
    this.#libvirtd?.end();
    this.#libvirtd = undefined;
    this.world.storage.forget(this.name);
    this.processes.loseAll();
    for (const listener of [...this.#onPowerOff]) listener();
  }

  /** Every process stops where it is; the kernel goes on. */
  freeze(): void {
    this.world.trace.add(this.name, 'freeze');
    this.#isFrozen = true;
    for (const life of this.#lives) life.freeze();
  }

  thaw(): void {
    if (!this.#isFrozen) return;
    this.world.trace.add(this.name, 'thaw');
    this.#isFrozen = false;
    for (const qemu of this.processes.qemus) qemu.thaw();
    for (const life of [...this.#lives]) life.thaw();
  }

  startLibvirtd(): void {
    this.#libvirtdStays = false;
    if (!this.#isOn || this.#libvirtd !== undefined) return;
    this.#libvirtd = new Libvirtd({
      clock: this.world.clock,
      records: { definitions: this.definitions, active: this.#active },
      spawn: (args) => this.spawnQemu(args),
      touchStorage: (done) => this.world.storage.sync(this.name).whenDone(done),
      lockedDisk: (args) => this.world.lockedDisk(args),
      isFrozen: () => this.#isFrozen,
    });
  }

  /**
   * SIGKILL to libvirt's daemon; its qemus are orphans and go on. The service manager begins it
   * again, unless it `stays` dead.
   */
  killLibvirtd({ stays = false }: { stays?: boolean } = {}): void {
    if (stays) this.#libvirtdStays = true;
    if (this.#libvirtd === undefined) return;
    this.world.trace.add(this.name, `libvirtd ends${stays ? ' for good' : ''}`);
    this.#libvirtd.end();
    this.#libvirtd = undefined;
    const { bootId } = this;
    this.world.clock.after(LIBVIRTD_RESTART_MS, () => {
      if (!this.#libvirtdStays && this.bootId === bootId) this.startLibvirtd();
    });
  }

  spawnQemu(args: QemuArguments): Qemu {
    const { clock, random, storage, trace } = this.world;
    const { pid, startTime } = this.processes.next();
    const processes = this.processes;
    const qemu = new Qemu(
      args,
      { host: this.name, bootId: this.bootId, pid, startTime },
      {
        clock,
        random,
        storage,
        isFrozen: () => this.#isFrozen,
        gone: (one) => {
          trace.add(this.name, `qemu ${pid} of ${args.name} is gone`);
          processes.remove(one);
          this.#libvirtd?.qemuGone(one);
          if (this.#active.get(args.vmUuid)?.qemu === one) this.#active.delete(args.vmUuid);
        },
      },
    );
    trace.add(this.name, `qemu ${pid} of ${args.name} begins, epoch ${args.epoch ?? 'none'}`);
    processes.addQemu(qemu);
    return qemu;
  }

  /** Calls `listener` when the power fails; returns how to stop. */
  onPowerOff(listener: () => void): () => void {
    this.#onPowerOff.add(listener);
    return () => this.#onPowerOff.delete(listener);
  }
}

/** Looks like the base64 of an ed25519 key; is none. */
function keyText(random: Random): string {
  return `AAAAC3NzaC1lZDI1NTE5AAAAI${random.hex(22)}`.slice(0, 68);
}
