import { makeLogger, messageOf, sleep, type Clock, type Logger } from '@fenceline/common';
import type { VmSeen } from '@fenceline/protocol';
import type { DomainEvent, LibvirtEvents } from '../libvirt/libvirt.js';
import { changesBetween } from './changes.js';
import { lookAtVms, type LookPorts } from './look.js';

export interface TrackerPorts extends LookPorts {
  clock: Clock;
  events: LibvirtEvents;
  /** Called when the connection to libvirt stands (again). */
  connected?: () => void;
}

/** What is true of this host's VMs, kept up to date by libvirt's events. */
export interface VmTracker {
  start(): void;
  /** Resolves when nothing of it runs any more; a look that hangs is left behind after a second. */
  stop(): Promise<void>;
  /** What it knows now. */
  known(): VmSeen[];
  /** Calls `listener` with each change; the answer ends that. */
  subscribe(listener: (vm: VmSeen) => void): () => void;
  /** Looks now, whatever the events say. */
  look(): void;
}

/**
 * Pauses before a broken event stream is opened again, milliseconds; the last one repeats. Short,
 * as while libvirt is away these looks are all that notices a qemu that dies.
 */
const BACK_OFF_MS = [200, 500, 1_000] as const;
/** `virsh event` says nothing when it has subscribed; a second look covers that moment. */
const SETTLE_MS = 1_000;
/** Longest wait for a look when stopping. */
const STOP_WAIT_MS = 1_000;
/** A look without an event: catches what no event told, for example while libvirt was down. */
const LOOK_EVERY_MS = 15_000;

export function makeVmTracker(ports: TrackerPorts): VmTracker {
  return new Tracker(ports);
}

class Tracker implements VmTracker {
  readonly #ports: TrackerPorts;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<(vm: VmSeen) => void>();
  readonly #crashed = new Set<string>();
  #known: VmSeen[] = [];
  /** Last trouble that was logged; the same one again is not news. */
  #trouble = '';
  #wanted = false;
  #looking: Promise<void> | undefined;
  #running: Promise<unknown> = Promise.resolve();

  /** While libvirt is away every look fails: its log is told once, until it answers again. */
  readonly #news: Logger;

  constructor(ports: TrackerPorts) {
    this.#ports = ports;
    this.#news = makeLogger(({ level, sentence, facts }) => {
      if (this.#trouble !== '' && level === 'warn') return;
      this.#trouble = sentence;
      ports.log[level](sentence, facts);
    });
  }

  start(): void {
    this.#running = Promise.all([this.#followEvents(), this.#lookRegularly()]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent stops'));
    const done = Promise.all([this.#running, this.#looking]);
    const waited = new AbortController();
    const limit = sleep(this.#ports.clock, STOP_WAIT_MS, waited.signal).catch(() => undefined);
    await Promise.race([done, limit]);
    waited.abort(new Error('stopped'));
  }

  known(): VmSeen[] {
    return this.#known;
  }

  subscribe(listener: (vm: VmSeen) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks that come while one look runs share the next one: a storm of events is two looks. */
  look(): void {
    this.#wanted = true;
    this.#looking ??= this.#lookWhileWanted().finally(() => (this.#looking = undefined));
  }

  async #lookWhileWanted(): Promise<void> {
    while (this.#wanted && !this.#stopping.signal.aborted) {
      this.#wanted = false;
      await this.#lookOnce();
    }
  }

  async #lookOnce(): Promise<void> {
    try {
      const crashed = new Set(this.#crashed);
      const look = await lookAtVms({ ...this.#ports, log: this.#news });
      if (look.libvirtAnswered) this.#trouble = '';
      const { now, changed } = changesBetween(this.#known, look, crashed);
      this.#known = now;
      for (const name of crashed) this.#crashed.delete(name);
      for (const vm of changed) for (const listener of this.#listeners) listener(vm);
    } catch (error) {
      this.#news.warn('a look at the VMs failed', { error: messageOf(error) });
    }
  }

  async #followEvents(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      try {
        for await (const event of this.#ports.events.open(signal)) {
          failures = 0;
          this.#onEvent(event);
        }
      } catch (error) {
        if (!signal.aborted)
          this.#news.warn("libvirt's event stream broke", { error: messageOf(error) });
      }
      const pauseMs = BACK_OFF_MS[Math.min(failures, BACK_OFF_MS.length - 1)] ?? 0;
      failures += 1;
      // What the process table shows does not need libvirt.
      this.look();
      await this.#pause(pauseMs);
    }
  }

  #onEvent(event: DomainEvent | undefined): void {
    if (event === undefined) {
      this.#ports.connected?.();
      const settle = this.#ports.clock.after(SETTLE_MS, () => this.look());
      this.#stopping.signal.addEventListener('abort', () => settle.cancel(), { once: true });
    } else if (/^(?:Stopped|Crashed) (?:Crashed|Panicked)/.test(event.what))
      this.#crashed.add(event.domainName);
    this.look();
  }

  async #lookRegularly(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.look();
      await this.#pause(LOOK_EVERY_MS);
    }
  }

  /** Ends early, and quietly, when the agent stops. */
  async #pause(ms: number): Promise<void> {
    await sleep(this.#ports.clock, ms, this.#stopping.signal).catch(() => undefined);
  }
}
