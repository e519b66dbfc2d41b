import type { Clock } from '@fenceline/common';
import type { Qemu } from './qemu.js';

/** A process that is no qemu: a `virsh create` that waits for its go. */
export interface HelperProcess {
  readonly pid: number;
  readonly startTime: number;
  isGone: boolean;
  /** Called once, when it is killed. */
  onKilled: () => void;
}

/** The process table of one boot of one host. */
export class ProcessTable {
  readonly #qemus = new Map<number, Qemu>();
  readonly #helpers = new Map<number, HelperProcess>();
  #nextPid: number;

  constructor(
    private readonly clock: Clock,
    private readonly bootedAtMs: number,
  ) {
    this.#nextPid = 200;
  }

  /** A new pid and its start time, in clock ticks since boot. */
  next(): { pid: number; startTime: number } {
    this.#nextPid += 1;
    const sinceBootMs = this.clock.monotonicMs() - this.bootedAtMs;
    return { pid: this.#nextPid, startTime: Math.floor(sinceBootMs / 10) };
  }

  addQemu(qemu: Qemu): void {
    this.#qemus.set(qemu.id.pid, qemu);
  }

  remove(qemu: Qemu): void {
    this.#qemus.delete(qemu.id.pid);
  }

  addHelper(onKilled: () => void): HelperProcess {
    const helper = { ...this.next(), isGone: false, onKilled };
    this.#helpers.set(helper.pid, helper);
    return helper;
  }

  /** It has ended by itself. */
  ended(helper: HelperProcess): void {
    helper.isGone = true;
    this.#helpers.delete(helper.pid);
  }

  get qemus(): Qemu[] {
    return [...this.#qemus.values()];
  }

  /** Start time of a process that lives. */
  startTimeOf(pid: number): number | undefined {
    return this.#qemus.get(pid)?.id.startTime ?? this.#helpers.get(pid)?.startTime;
  }

  /** SIGKILL to the process with this pid and start time, if it is there. */
  kill(pid: number, startTime: number): void {
    if (this.startTimeOf(pid) !== startTime) return;
    this.#qemus.get(pid)?.kill();
    const helper = this.#helpers.get(pid);
    if (helper === undefined) return;
    this.ended(helper);
    helper.onKilled();
  }

  /** The power is cut. */
  loseAll(): void {
    for (const qemu of this.qemus) qemu.loseHost();
    for (const helper of this.#helpers.values()) helper.isGone = true;
    this.#helpers.clear();
  }
}
