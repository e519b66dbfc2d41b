import { LabError } from '../labError.js';
import { sleep } from '../limits.js';
import type { HostName } from '../plan/names.js';
import { plugOf, plugsOf, supplies, type Plug, type Supply } from '../plan/plugs.js';
import type { PowerDeviceMode } from '../requests.js';

/** What can be done to the power of the lab's hosts. */
export interface Outlets {
  /** Resolves when the power is on; the host may still be booting. */
  on(host: HostName): Promise<void>;
  /** Resolves when nothing of the host runs any more. */
  off(host: HostName): Promise<void>;
  isOn(host: HostName): boolean;
  list(): HostName[];
}

export interface PowerReply {
  readonly power?: 'on' | 'off';
  readonly plugs?: readonly string[];
}

/**
 * The lab's "PDU": a power device outside of all hosts, with the bad habits of real ones. Each host
 * has two supplies, and dies when both are off. It answers `{action, plug}` on its own socket, also
 * to programs in nested pid namespaces.
 */
export class PowerDevice {
  mode: PowerDeviceMode = { mode: 'ok' };
  /** What a lying device claims, by plug. */
  private readonly claims = new Map<string, 'on' | 'off'>();
  /** Supplies that were switched off, of hosts that may live on the other one. */
  private readonly cut = new Map<HostName, Set<Supply>>();

  constructor(private readonly outlets: Outlets) {}

  async handle(request: unknown, gone: AbortSignal): Promise<PowerReply> {
    const { action, plug: asked } = request as { action?: unknown; plug?: unknown };
    if (this.mode.mode === 'dead') return neverAnswer(gone);
    if (this.mode.mode === 'slow') await sleep(this.mode.ms);
    if (action === 'list') return { plugs: this.outlets.list().flatMap(plugsOf) };
    const name = String(asked);
    const plug = plugOf(name);
    if (!this.outlets.list().includes(plug.host))
      throw new LabError(`No outlet is called ${name}.`);
    if (action === 'status') return { power: this.read(name, plug) };
    if (action !== 'on' && action !== 'off')
      throw new LabError(`Unknown action ${String(action)}.`);
    if (this.mode.mode === 'lying') this.claims.set(name, action);
    else if (!this.isStuck(name, action)) await this.switch(plug, action);
    return { power: this.read(name, plug) };
  }

  setMode(mode: PowerDeviceMode): void {
    this.mode = mode;
    this.claims.clear();
  }

  private isStuck(name: string, action: 'on' | 'off'): boolean {
    return this.mode.mode === 'stuck' && this.mode.plug === name && action === 'off';
  }

  private async switch({ host, supplies: some }: Plug, action: 'on' | 'off'): Promise<void> {
    const cut = this.cutOf(host);
    for (const supply of some)
      if (action === 'off') cut.add(supply);
      else cut.delete(supply);
    this.cut.set(host, cut);
    const fed = cut.size < supplies.length;
    if (!fed) await this.outlets.off(host);
    else if (action === 'on' && !this.outlets.isOn(host)) await this.outlets.on(host);
  }

  /** A host that somebody else switched on again has its supplies. */
  private cutOf(host: HostName): Set<Supply> {
    const cut = this.cut.get(host) ?? new Set();
    return this.outlets.isOn(host) && cut.size === supplies.length ? new Set() : cut;
  }

  private read(name: string, { host, supplies: some }: Plug): 'on' | 'off' {
    const claim = this.claims.get(name);
    if (claim !== undefined) return claim;
    const cut = this.cutOf(host);
    const isOff = !this.outlets.isOn(host) || some.every((supply) => cut.has(supply));
    return isOff ? 'off' : 'on';
  }
}

function neverAnswer(gone: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    gone.addEventListener('abort', () => reject(gone.reason), { once: true });
  });
}
