import type { Clock } from '@fenceline/common';
import { argumentsOf } from './domainText.js';
import type { Qemu, QemuArguments } from './qemu.js';

/** What libvirt says of a domain; a report, never a proof. */
export type DomainWord = 'running' | 'starting' | 'shut off' | 'crashed';

export interface DomainReport {
  vmUuid: string;
  name: string;
  word: DomainWord;
}

/** Why libvirt did not do what it was asked. */
export type LibvirtFailure =
  /** Nobody listens on its socket. */
  | { kind: 'notThere' }
  /** The daemon ended while it was at work. */
  | { kind: 'ended' }
  | { kind: 'noSuchDomain' }
  | { kind: 'alreadyActive' }
  | { kind: 'imageLocked'; path: string };

export class LibvirtError extends Error {
  constructor(readonly failure: LibvirtFailure) {
    super(failure.kind);
    this.name = 'LibvirtError';
  }
}

/** What of libvirt survives its daemon: definitions on disk, status of running domains in /run. */
export interface LibvirtRecords {
  /** By uuid. */
  definitions: Map<string, { name: string; xml: string }>;
  active: Map<string, { name: string; qemu: Qemu; shutOff: boolean }>;
}

export interface LibvirtdWorld {
  clock: Clock;
  records: LibvirtRecords;
  spawn: (args: QemuArguments) => Qemu;
  /** Calls back when the host's storage has answered one request. */
  touchStorage: (done: () => void) => void;
  /** A disk that another living qemu holds, where the storage has cluster-wide locks. */
  lockedDisk: (args: QemuArguments) => string | undefined;
  isFrozen: () => boolean;
}

const QUESTION_MS = 15;
const START_MS = 220;
const DESTROY_MS = 218;
/** `virsh destroy` of a qemu in D gives up waiting after this, and says "destroyed" all the same. */
const DESTROY_GIVES_UP_MS = 80_000;

/** One life of libvirt's daemon. */
export class Libvirtd {
  #ended = false;
  /** SIGSTOP: it takes connections and answers nothing. */
  isStopped = false;
  /** Questions about a domain wait for the start that holds its lock. */
  readonly #locks = new Map<string, (() => void)[]>();
  readonly #listeners = new Set<{ event: (name: string, what: string) => void; end: () => void }>();

  constructor(private readonly world: LibvirtdWorld) {}

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** SIGKILL: what it was about to start is never started; running domains go on. */
  end(): void {
    this.#ended = true;
    for (const listener of [...this.#listeners]) listener.end();
    this.#listeners.clear();
  }

  /** Tells events until the answer is called or the daemon ends. */
  listen(listener: { event: (name: string, what: string) => void; end: () => void }): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A qemu of this host is gone. */
  qemuGone(qemu: Qemu): void {
    const { active } = this.world.records;
    const known = active.get(qemu.args.vmUuid);
    if (known?.qemu !== qemu) return;
    active.delete(qemu.args.vmUuid);
    this.#tell(qemu.args.name, 'Stopped Failed');
  }

  async domains(): Promise<DomainReport[]> {
    await this.#work(QUESTION_MS);
    const { definitions, active } = this.world.records;
    const uuids = new Set([...definitions.keys(), ...active.keys()]);
    return [...uuids].map((vmUuid) => this.#report(vmUuid)).filter((one) => one !== undefined);
  }

  /** Waits for the domain's lock. @throws LibvirtError noSuchDomain */
  async domain(vmUuid: string): Promise<DomainReport> {
    await this.#work(QUESTION_MS);
    await this.#lockFree(vmUuid);
    const report = this.#report(vmUuid);
    if (report === undefined) throw new LibvirtError({ kind: 'noSuchDomain' });
    return report;
  }

  async definition(vmUuid: string): Promise<string> {
    await this.#work(QUESTION_MS);
    const known = this.world.records.definitions.get(vmUuid);
    if (known === undefined) throw new LibvirtError({ kind: 'noSuchDomain' });
    return known.xml;
  }

  /** `virsh create`: goes on to its end also if the one that asked is killed. */
  async create(xml: string): Promise<void> {
    const args = argumentsOf(xml);
    await this.#work(QUESTION_MS);
    await this.#lockFree(args.vmUuid);
    if (this.world.records.active.has(args.vmUuid))
      throw new LibvirtError({ kind: 'alreadyActive' });
    this.#locks.set(args.vmUuid, []);
    try {
      await this.#storageAnswers();
      await this.#work(START_MS);
      this.#spawn(args);
    } finally {
      const waiting = this.#locks.get(args.vmUuid) ?? [];
      this.#locks.delete(args.vmUuid);
      for (const go of waiting) go();
    }
  }

  #spawn(args: QemuArguments): void {
    const path = this.world.lockedDisk(args);
    if (path !== undefined) throw new LibvirtError({ kind: 'imageLocked', path });
    const qemu = this.world.spawn(args);
    this.world.records.active.set(args.vmUuid, { name: args.name, qemu, shutOff: false });
    this.#tell(args.name, 'Started Booted');
  }

  /** `virsh destroy`. Resolves with its exit status 0, which proves nothing. */
  async destroy(vmUuid: string): Promise<void> {
    await this.#work(QUESTION_MS);
    const known = this.world.records.active.get(vmUuid);
    if (known === undefined) throw new LibvirtError({ kind: 'noSuchDomain' });
    known.qemu.kill();
    await this.#work(known.qemu.isGone ? DESTROY_MS : DESTROY_GIVES_UP_MS);
    const still = this.world.records.active.get(vmUuid);
    // libvirt 9.0.0: after its last poll it says "destroyed" beside the living worker.
    if (still !== undefined) still.shutOff = true;
  }

  async shutdown(vmUuid: string): Promise<Qemu> {
    await this.#work(QUESTION_MS);
    const known = this.world.records.active.get(vmUuid);
    if (known === undefined) throw new LibvirtError({ kind: 'noSuchDomain' });
    return known.qemu;
  }

  /** Asks for its own version: any answer will do. */
  ask(): Promise<void> {
    return this.#work(QUESTION_MS);
  }

  #report(vmUuid: string): DomainReport | undefined {
    const { definitions, active } = this.world.records;
    const running = active.get(vmUuid);
    if (running !== undefined)
      return { vmUuid, name: running.name, word: running.shutOff ? 'shut off' : 'running' };
    const known = definitions.get(vmUuid);
    if (known === undefined) return undefined;
    return { vmUuid, name: known.name, word: this.#locks.has(vmUuid) ? 'starting' : 'shut off' };
  }

  #lockFree(vmUuid: string): Promise<void> {
    const waiting = this.#locks.get(vmUuid);
    if (waiting === undefined) return Promise.resolve();
    return new Promise((resolve) => waiting.push(resolve));
  }

  #storageAnswers(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.world.touchStorage(() => {
        if (this.#ended) reject(new LibvirtError({ kind: 'ended' }));
        else resolve();
      });
    });
  }

  /** Takes so long; never ends while the daemon is stopped or the host frozen. */
  #work(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#ended) reject(new LibvirtError({ kind: 'ended' }));
        else if (this.isStopped || this.world.isFrozen()) this.world.clock.after(RESUME_MS, look);
        else resolve();
      };
      this.world.clock.after(ms, look);
    });
  }

  #tell(name: string, what: string): void {
    for (const listener of this.#listeners) listener.event(name, what);
  }
}

/** How soon a daemon that runs again goes on. */
const RESUME_MS = 20;
