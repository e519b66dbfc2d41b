import { LabError } from '../labError.js';
import { sleep } from '../limits.js';
import { hostName, type HostName } from '../plan/names.js';
import type { PowerDeviceMode } from '../requests.js';

/** What a power outlet can do; the lab's hosts are plugged into one each. */
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
 * The lab's "PDU": a power device outside of all hosts, with the bad habits of real ones.
 * It answers `{action, plug}` on its own socket, also to programs in nested pid namespaces.
 */
export class PowerDevice {
  mode: PowerDeviceMode = { mode: 'ok' };
  /** What a lying device claims, by host. */
  private readonly claims = new Map<HostName, 'on' | 'off'>();

  constructor(private readonly outlets: Outlets) {}

  async handle(request: unknown, gone: AbortSignal): Promise<PowerReply> {
    const { action, plug } = request as { action?: unknown; plug?: unknown };
    if (this.mode.mode === 'dead') return neverAnswer(gone);
    if (this.mode.mode === 'slow') await sleep(this.mode.ms);
    if (action === 'list') return { plugs: this.outlets.list() };
    const host = hostName(String(plug));
    if (!this.outlets.list().includes(host)) throw new LabError(`No outlet is called ${host}.`);
    if (action === 'status') return { power: this.read(host) };
    if (action !== 'on' && action !== 'off')
      throw new LabError(`Unknown action ${String(action)}.`);
    if (this.mode.mode === 'lying') this.claims.set(host, action);
    else await this.outlets[action](host);
    return { power: this.read(host) };
  }

  setMode(mode: PowerDeviceMode): void {
    this.mode = mode;
    this.claims.clear();
  }

  private read(host: HostName): 'on' | 'off' {
    return this.claims.get(host) ?? (this.outlets.isOn(host) ? 'on' : 'off');
  }
}

function neverAnswer(gone: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    gone.addEventListener('abort', () => reject(gone.reason), { once: true });
  });
}
