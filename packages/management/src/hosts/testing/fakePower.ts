import { sleep, type Clock } from '@fenceline/common';
import {
  PowerDeviceError,
  type PowerDevice,
  type PowerDeviceConfig,
  type PowerState,
} from '../../fencing/power/powerDevice.js';

/** A power device with one outlet, and the bad habits of real ones. */
export class FakePower implements PowerDevice {
  state: PowerState = 'on';
  /** `lying`: acknowledges and does nothing; `dead`: never acknowledges. */
  habit: 'honest' | 'lying' | 'dead' = 'honest';
  readonly calls: string[] = [];
  /** What being switched does to the world. */
  switched: (to: 'on' | 'off') => void = () => undefined;

  constructor(readonly clock: Clock) {}

  off(_config: PowerDeviceConfig, limit: { timeoutMs: number }): Promise<void> {
    return this.#set('off', limit);
  }

  on(_config: PowerDeviceConfig, limit: { timeoutMs: number }): Promise<void> {
    return this.#set('on', limit);
  }

  async status(): Promise<PowerState> {
    this.calls.push('status');
    await sleep(this.clock, 10);
    return this.state;
  }

  async #set(to: 'on' | 'off', { timeoutMs }: { timeoutMs: number }): Promise<void> {
    this.calls.push(to);
    if (this.habit === 'dead') {
      await sleep(this.clock, timeoutMs);
      throw new PowerDeviceError('timedOut', 'no answer');
    }
    await sleep(this.clock, 100);
    if (this.habit === 'lying') return;
    this.state = to;
    this.switched(to);
  }
}
