import type { World } from './world.js';

/** A power device's habits. */
export type PowerHabit =
  | { kind: 'works' }
  /** It answers nobody. */
  | { kind: 'dead' }
  /** It says and reads "off" and switches nothing. */
  | { kind: 'lying' }
  /** It acknowledges and switches nothing; its reading is true. */
  | { kind: 'idle' }
  /** It acknowledges at once and switches later. */
  | { kind: 'slow'; ms: number };

const ANSWER_MS = 300;

/** Outlets outside of all hosts, one for each, by the host's name. */
export class PowerOutlets {
  habit: PowerHabit = { kind: 'works' };
  readonly #claims = new Map<string, 'on' | 'off'>();

  constructor(private readonly world: World) {}

  /** Resolves when the device acknowledged; never if it is dead. */
  async switch(plug: string, to: 'on' | 'off'): Promise<void> {
    await this.#answerTime();
    const { habit } = this;
    this.world.trace.add('power', `${plug} ${to} (${habit.kind})`);
    if (habit.kind === 'lying') this.#claims.set(plug, to);
    else if (habit.kind === 'slow') this.world.clock.after(habit.ms, () => this.#act(plug, to));
    else if (habit.kind === 'works') this.#act(plug, to);
  }

  async read(plug: string): Promise<'on' | 'off'> {
    await this.#answerTime();
    return this.#claims.get(plug) ?? (this.world.host(plug).isOn ? 'on' : 'off');
  }

  #act(plug: string, to: 'on' | 'off'): void {
    const host = this.world.host(plug);
    if (to === 'on') host.powerOn();
    else host.powerOff();
  }

  #answerTime(): Promise<void> {
    if (this.habit.kind === 'dead') return new Promise(() => undefined);
    return new Promise((resolve) => {
      this.world.clock.after(ANSWER_MS, resolve);
    });
  }
}
