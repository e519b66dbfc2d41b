import { composeAgent } from '@fenceline/agent';
import type { Listeners } from '../ports/connection.js';
import { agentPorts } from '../ports/agentPorts.js';
import type { SimHost } from '../world/host.js';
import type { Life } from '../world/life.js';

/** What a program takes from its start until it listens, milliseconds. */
const START_MS = 400;
const RESTART_MS = 500;

/** The agent's service on one host: the real agent, begun with each boot, again after a crash. */
export class SimAgent {
  #life: Life | undefined;
  /** The service manager begins it again when it ends. */
  restarts = true;

  constructor(
    private readonly host: SimHost,
    private readonly listeners: Listeners,
  ) {
    host.addService({ name: 'agent', begin: (life) => this.#begin(life) });
  }

  /** SIGKILL; VMs live on. `stays`: the service manager leaves it dead. */
  crash({ stays }: { stays: boolean }): void {
    this.restarts = !stays;
    this.host.world.trace.add(this.host.name, `agent ends${stays ? ' for good' : ''}`);
    this.#life?.end();
  }

  /** The service manager is told to begin it again. */
  revive(): void {
    this.restarts = true;
    if (this.host.isOn && this.#life?.isDead === true)
      this.#begin(this.host.newLife(`agent on ${this.host.name}`));
  }

  #begin(life: Life): void {
    this.#life = life;
    const core = composeAgent(agentPorts(this.host, life, this.listeners));
    const { clock } = this.host.world;
    clock.after(START_MS, () =>
      life.run(() => {
        this.listeners.listen(this.host, { life, dispatcher: core.dispatcher });
        void core.start();
      }),
    );
    life.onEnd(() => clock.after(RESTART_MS, () => this.#again(life)));
  }

  #again(ended: Life): void {
    if (!this.restarts || !this.host.isOn || this.#life !== ended) return;
    this.#begin(this.host.newLife(`agent on ${this.host.name}`));
  }
}
