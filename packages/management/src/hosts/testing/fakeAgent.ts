import type { Clock, Timer } from '@fenceline/common';
import {
  FENCELINE_VERSION,
  PROTOCOL_VERSION,
  TransportError,
  type FenceLineState,
  type HookState,
  type ScanLevel,
  type VmSeen,
  type WatchItem,
} from '@fenceline/protocol';

/** One open watch stream of a fake agent. */
interface Stream {
  items: WatchItem[];
  ended: Error | 'end' | undefined;
  wake: () => void;
}

/** How a call of one route behaves, beside the default. */
export interface RouteScript {
  /** Milliseconds before the answer. */
  delayMs?: number;
  /** Thrown in place of an answer. */
  fails?: Error;
  /** Fields that replace the default ones. */
  answer?: object;
}

/** A host with its agent, as far as the server can tell; everything about it can be changed. */
export class FakeAgent {
  /** Off: nothing of it answers anybody. */
  power: 'on' | 'off' = 'on';
  /** False: the kernel refuses connections to the agent's port. */
  agentUp = true;
  /** `cut`: the server gets no answer; siblings do. */
  serverLink: 'ok' | 'cut' = 'ok';
  /** `noRoute`: the watch stream can't be opened, plain calls work. */
  watchRoute: 'works' | 'noRoute' = 'works';
  /** Heartbeats are held back while true (a stalled process; calls hang as well). */
  /** False: as after its state directory was lost, or another machine's agent. */
  knowsItself = true;
  frozen = false;
  agentInstance = 'instance-1';
  agentVersion = FENCELINE_VERSION;
  protocolVersion = PROTOCOL_VERSION;
  bootId = 'boot-1';
  fencePublicKey: string;
  nextFencePublicKey: string | undefined;
  sshHostKeys: string[];
  doorPort: number | undefined;
  vms: VmSeen[] = [];
  /** Deposited by the server. */
  orderTokens: readonly string[] = [];
  fenceLines: FenceLineState[] = [];
  libvirtAnswered = true;
  /** What its heartbeats say of the libvirt hook. */
  hook: HookState | undefined;
  cpuVirtualization = true;
  kvmDevice = true;
  cpus = 8;
  memoryMiB = 65_536;
  scripts: Record<string, RouteScript> = {};
  /** What this host says of another, by that host's uuid; else what is true. */
  scans = new Map<string, { level: ScanLevel; unstable?: boolean; signsOfLife?: string[] }>();
  readonly #streams = new Set<Stream>();
  #sequence = 0;

  constructor(
    readonly clock: Clock,
    readonly hostUuid: string,
    readonly addresses: string[],
  ) {
    const key = Buffer.from(hostUuid.padEnd(51, 'k').slice(0, 51)).toString('base64');
    this.fencePublicKey = `ssh-ed25519 ${key}`;
    this.sshHostKeys = [`ssh-ed25519 ${Buffer.from(`host key of ${hostUuid}`).toString('base64')}`];
  }

  /** What anybody on its net can see of it. */
  get visible(): ScanLevel {
    if (this.power === 'off') return 'nothing';
    return this.agentUp && !this.frozen ? 'agent' : 'kernel';
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  powerOff(): void {
    this.power = 'off';
  }

  /** Comes up under a new boot, with new instances of everything. */
  boot(bootId: string): void {
    this.reset(new TransportError('reset', 'the old kernel is gone'));
    Object.assign(this, { power: 'on', agentUp: true, bootId, agentInstance: `of-${bootId}` });
  }

  /** The agent's process ends; the kernel lives. */
  killAgent(): void {
    this.agentUp = false;
    this.reset(new TransportError('reset', 'ECONNRESET'));
  }

  startAgent(instance: string): void {
    this.agentUp = true;
    this.agentInstance = instance;
  }

  reset(error: Error): void {
    for (const stream of this.#streams) {
      stream.ended = error;
      stream.wake();
    }
    this.#streams.clear();
  }

  vmEvent(vm: VmSeen): void {
    this.#push(Object.assign(this.#item('vm'), { vm }));
  }

  /** Heartbeats at once, then every `everyMs`. */
  async *watch(everyMs: number, signal: AbortSignal): AsyncGenerator<WatchItem> {
    const stream: Stream = { items: [], ended: undefined, wake: () => undefined };
    this.#streams.add(stream);
    const stop = (): void => {
      stream.ended ??= 'end';
      stream.wake();
    };
    signal.addEventListener('abort', stop, { once: true });
    let timer: Timer | undefined;
    const beat = (): void => {
      timer = this.clock.after(everyMs, beat);
      if (this.#delivers()) this.#give(stream, this.#item('heartbeat'));
    };
    beat();
    try {
      while (stream.ended === undefined || stream.items.length > 0) {
        const item = stream.items.shift();
        if (item !== undefined) yield item;
        else await new Promise<void>((resolve) => (stream.wake = resolve));
      }
      if (stream.ended !== 'end') throw stream.ended;
    } finally {
      timer?.cancel();
      signal.removeEventListener('abort', stop);
      this.#streams.delete(stream);
    }
  }

  #delivers(): boolean {
    return this.power === 'on' && this.serverLink === 'ok' && !this.frozen && this.agentUp;
  }

  #item(kind: WatchItem['kind']): WatchItem {
    this.#sequence += 1;
    const { agentInstance, bootId, agentVersion } = this;
    const whose = this.knowsItself ? { hostUuid: this.hostUuid } : {};
    const { fenceLines, orderTokens, hook } = this;
    return {
      kind,
      sequence: this.#sequence,
      ...{ agentInstance, bootId, agentVersion },
      ...(kind === 'heartbeat' ? { fenceLines, orderTokens: orderTokens.length } : {}),
      ...(hook === undefined ? {} : { hook }),
      ...whose,
    };
  }

  #push(item: WatchItem): void {
    if (this.#delivers()) for (const stream of this.#streams) this.#give(stream, item);
  }

  #give(stream: Stream, item: WatchItem): void {
    stream.items.push(item);
    stream.wake();
  }
}
