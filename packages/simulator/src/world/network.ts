import type { Clock, Random } from '@fenceline/common';

/** Which way of a node's cable is cut, as the node sees it. */
export type Cut = 'none' | 'both' | 'in' | 'out';

/** How a packet of one node gets to another. */
export interface Path {
  from: string;
  to: string;
}

/** Least time of one packet, milliseconds; chance adds up to the same again. */
const LEAST_DELAY_MS = 0.4;

/**
 * The management network: nodes by address, a cable to each that can be cut both ways or one way,
 * and a delay. Whether anybody answers behind a cable is the node's matter.
 */
export class Network {
  readonly #cuts = new Map<string, Cut>();
  readonly #slower = new Map<string, number>();
  readonly #healed = new Set<() => void>();

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
  ) {}

  cut(node: string, cut: Cut): void {
    this.#cuts.set(node, cut);
    // Each looks for itself whether its way is free again.
    for (const listener of [...this.#healed]) listener();
  }

  /** Every packet from and to this node takes so much longer, milliseconds. */
  slowDown(node: string, byMs: number): void {
    this.#slower.set(node, byMs);
  }

  /** A packet can go this way now. */
  passes({ from, to }: Path): boolean {
    const out = this.#cuts.get(from) ?? 'none';
    const into = this.#cuts.get(to) ?? 'none';
    return (out === 'none' || out === 'in') && (into === 'none' || into === 'out');
  }

  /** Question and answer can go. */
  bothWays({ from, to }: Path): boolean {
    return this.passes({ from, to }) && this.passes({ from: to, to: from });
  }

  /** Delay of the next packet on this path, milliseconds, to a tenth. */
  delayMs({ from, to }: Path): number {
    const slower = (this.#slower.get(from) ?? 0) + (this.#slower.get(to) ?? 0);
    const ms = LEAST_DELAY_MS * (1 + this.random.unit()) + slower;
    return Math.ceil(ms * 10) / 10;
  }

  /** Calls `action` when a packet sent now arrives; a lost one never does. */
  send(path: Path, action: () => void): void {
    if (!this.passes(path)) return;
    this.clock.after(this.delayMs(path), action);
  }

  /** Calls `listener` each time a cable is mended; returns how to stop. */
  onHealed(listener: () => void): () => void {
    this.#healed.add(listener);
    return () => this.#healed.delete(listener);
  }
}

/**
 * One direction of a TCP connection: what is sent arrives in order; what meets a cut cable waits
 * and is sent again when it is mended.
 */
export class Flow {
  readonly #waiting: (() => void)[] = [];
  #lastArrivalMs = 0;
  #stop: (() => void) | undefined;
  #closed = false;

  constructor(
    private readonly clock: Clock,
    private readonly network: Network,
    private readonly path: Path,
  ) {}

  send(action: () => void): void {
    if (this.#closed) return;
    if (this.#waiting.length > 0 || !this.network.passes(this.path)) {
      this.#waiting.push(action);
      this.#stop ??= this.network.onHealed(() => this.#again());
      return;
    }
    const now = this.clock.monotonicMs();
    const arrivalMs = Math.max(now + this.network.delayMs(this.path), this.#lastArrivalMs);
    this.#lastArrivalMs = arrivalMs;
    this.clock.after(arrivalMs - now, () => {
      if (!this.#closed) action();
    });
  }

  /** Nothing that is on its way arrives any more. */
  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#waiting.length = 0;
  }

  #again(): void {
    if (!this.network.passes(this.path)) return;
    const waiting = this.#waiting.splice(0);
    this.#stop?.();
    this.#stop = undefined;
    for (const action of waiting) this.send(action);
  }
}
