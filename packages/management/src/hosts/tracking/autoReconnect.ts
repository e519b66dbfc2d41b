import type { Clock, Timer } from '@fenceline/common';
import type { MessageBus } from '../../messages/bus.js';
import type { ReconnectHostMsg } from '../../messages/types.js';
import type { SettingsSource } from '../../settings/settings.js';
import { reconnectMessage } from '../connect/messages.js';

export interface AutoReconnectDeps {
  clock: Clock;
  bus: MessageBus;
  settings: SettingsSource;
}

interface Plan {
  attempts: number;
  timer: Timer | undefined;
  /** What asked for the attempts so far; something new starts the back-off anew. */
  cause: string;
}

/**
 * C2: automatic reconnects of hosts whose connect failed or whose agent changed, with the pauses
 * of `host.reconnect.backoffSec`. One plan per host; nothing is left behind on stop.
 */
export class AutoReconnect {
  readonly #plans = new Map<string, Plan>();
  #stopped = false;

  constructor(private readonly deps: AutoReconnectDeps) {}

  /** Something happened that makes an attempt worth while now; the same cause again waits. */
  now(hostUuid: string, cause: string, calledBy: ReconnectHostMsg['calledBy']): void {
    if (this.#stopped || this.#plans.get(hostUuid)?.cause === cause) return;
    this.#plans.get(hostUuid)?.timer?.cancel();
    this.#plans.set(hostUuid, { attempts: 0, timer: undefined, cause });
    this.#send(hostUuid, calledBy, false);
  }

  /** A connect failed: try again after the next pause. */
  failed(hostUuid: string): void {
    if (this.#stopped) return;
    const plan = this.#plans.get(hostUuid) ?? { attempts: 0, timer: undefined, cause: 'failed' };
    this.#plans.set(hostUuid, plan);
    if (plan.timer !== undefined) return;
    const pauses = this.deps.settings.current().host.reconnect.backoffSec;
    const pauseSec = pauses[Math.min(plan.attempts, pauses.length - 1)] ?? 60;
    plan.attempts += 1;
    plan.timer = this.deps.clock.after(pauseSec * 1_000, () => {
      plan.timer = undefined;
      this.#send(hostUuid, 'tracking', true);
    });
  }

  /** The host is Connected, or gone: nothing is to be tried. */
  cancel(hostUuid: string): void {
    this.#plans.get(hostUuid)?.timer?.cancel();
    this.#plans.delete(hostUuid);
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#plans.values()) timer?.cancel();
    this.#plans.clear();
  }

  #send(hostUuid: string, calledBy: ReconnectHostMsg['calledBy'], skipIfConnected: boolean): void {
    const ask = { hostUuid, calledBy, skipIfConnected };
    // The connect's own end tells whether another attempt is needed; the reply adds nothing.
    void this.deps.bus.send('ReconnectHost', reconnectMessage(this.deps.settings.current(), ask));
  }
}
