import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import {
  DomainError,
  FENCELINE_VERSION,
  VmSeen,
  WatchItem,
  type StartVmCmd,
} from '@fenceline/protocol';
import type { Chronicle } from './chronicle.js';

export const VM_UUID = '11111111-2222-4333-8444-555555555555';
export const VM_NAME = 'web1';
export const DISK = '/srv/shared/web1.img';

/** How a request to close runs ended. */
export interface Closed {
  outcome: 'confirmedDead' | 'nothingFound' | 'stillAlive';
  killed: { pid: number; startTime: number; epoch: number }[];
}

/** Bound on a start that is held, milliseconds. */
const HELD_MS = 60_000;

let pids = 1_000;

/** A host with at most one qemu, and what its agent remembers of runs; it refuses as agents do. */
export class FakeHost {
  readonly bootId = randomUUID();
  readonly agentInstance = randomUUID();
  /** Given by the first connect. */
  hostUuid: string | undefined;
  agentUp = true;
  /** Its qemu can't die: its storage hangs. */
  unkillable = false;
  /** The next start is held until somebody asks for its run to be closed. */
  holdNextStart = false;
  #barrier = -1;
  #began: number | null = null;
  #starting: Promise<void> = Promise.resolve();
  #qemu: { epoch: number; pid: number } | undefined;
  readonly #news = new EventEmitter();
  #changes = 0;

  constructor(
    readonly name: string,
    readonly address: string,
    readonly chronicle: Chronicle,
  ) {}

  get barrier(): number | null {
    return this.#barrier < 0 ? null : this.#barrier;
  }

  get highestBegan(): number | null {
    return this.#began;
  }

  get runningEpoch(): number | undefined {
    return this.#qemu?.epoch;
  }

  /** A VM that ran before anybody looked. */
  runs(epoch: number): void {
    this.#began = epoch;
    this.#begin(epoch);
  }

  /** F11, F33, F34: @throws DomainError CONFLICT, STALE_EPOCH */
  async start({ epoch, bootId, closedRuns }: StartVmCmd): Promise<void> {
    this.chronicle.add({ host: this.name, what: 'startAsked', epoch, proofs: closedRuns });
    try {
      if (bootId !== this.bootId) throw new DomainError('CONFLICT', 'granted to another boot');
      this.#refuseClosed(epoch);
      if (this.#began !== null && epoch < this.#began)
        throw new DomainError('STALE_EPOCH', `run ${this.#began} began here`);
      if (this.#began === epoch) return;
      if (this.#qemu !== undefined) throw new DomainError('CONFLICT', 'it has a qemu here');
      this.#began = epoch;
      const done = this.#startInTurn(epoch);
      this.#starting = done.catch(() => undefined);
      await done;
    } catch (error) {
      this.chronicle.add({ host: this.name, what: 'startRefused', epoch });
      throw error;
    }
  }

  async #startInTurn(epoch: number): Promise<void> {
    const held = this.holdNextStart;
    this.holdNextStart = false;
    if (held) await once(this.#news, 'fence', { signal: AbortSignal.timeout(HELD_MS) });
    // The barrier is read again right before the qemu: a fence may have come in between.
    this.#refuseClosed(epoch);
    this.#begin(epoch);
  }

  #refuseClosed(epoch: number): void {
    if (epoch <= this.#barrier)
      throw new DomainError('STALE_EPOCH', `closed here up to run ${this.#barrier}`);
  }

  #begin(epoch: number): void {
    this.#qemu = { epoch, pid: ++pids };
    this.chronicle.add({ host: this.name, what: 'began', epoch });
    this.#tell();
  }

  /** Barrier first, then a start in flight is waited for, then the look and the kill (F34). */
  async close(epoch: number): Promise<Closed> {
    const { name: host, chronicle } = this;
    chronicle.add({ host, what: 'fenceAsked', epoch });
    this.#barrier = Math.max(this.#barrier, epoch);
    this.#news.emit('fence');
    await this.#starting;
    const qemu = this.#qemu;
    if (qemu === undefined || qemu.epoch > epoch) {
      chronicle.add({ host, what: 'toldOver', epoch });
      return { outcome: 'nothingFound', killed: [] };
    }
    const killed = [{ pid: qemu.pid, startTime: 1, epoch: qemu.epoch }];
    if (this.unkillable) {
      chronicle.add({ host, what: 'toldAlive', epoch });
      return { outcome: 'stillAlive', killed };
    }
    this.#qemu = undefined;
    chronicle.add({ host, what: 'ended', epoch: qemu.epoch });
    this.#tell();
    chronicle.add({ host, what: 'toldOver', epoch });
    return { outcome: 'confirmedDead', killed };
  }

  /** The VM as this host sees it; undefined if nothing of it was ever here. */
  seen(): VmSeen | undefined {
    if (this.#began === null) return undefined;
    const qemu = this.#qemu;
    return Object.assign(new VmSeen(), {
      vmUuid: VM_UUID,
      name: VM_NAME,
      state: qemu === undefined ? 'Stopped' : 'Running',
      epoch: qemu?.epoch ?? null,
      pid: qemu?.pid ?? null,
      startTime: qemu === undefined ? null : 1,
      knownToLibvirt: true,
      hasProcess: qemu !== undefined,
    });
  }

  #tell(): void {
    this.#changes += 1;
    this.#news.emit('change');
  }

  /** `GET /host/watch`: heartbeats, and the VM whenever it changes. */
  async *watch(everyMs: number, signal: AbortSignal): AsyncGenerator<WatchItem> {
    let sequence = 0;
    let told = -1;
    const { agentInstance, bootId, hostUuid } = this;
    const base = { agentInstance, bootId, agentVersion: FENCELINE_VERSION };
    while (!signal.aborted) {
      const id = { ...base, sequence: sequence++, ...(hostUuid === undefined ? {} : { hostUuid }) };
      const vm = told === this.#changes ? undefined : this.seen();
      told = this.#changes;
      const what = vm === undefined ? { kind: 'heartbeat' as const } : { kind: 'vm' as const, vm };
      yield Object.assign(new WatchItem(), id, what);
      if (told !== this.#changes || vm !== undefined) continue;
      const end = AbortSignal.any([signal, AbortSignal.timeout(everyMs)]);
      await once(this.#news, 'change', { signal: end }).catch(() => undefined);
    }
  }
}
