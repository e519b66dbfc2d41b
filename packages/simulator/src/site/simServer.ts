import { Secret, makeLogger, type Dispatcher } from '@fenceline/common';
import {
  composeCore,
  ensureDefaultCluster,
  makeApiDispatcher,
  makeAudit,
  makeEvents,
  makeMemoryDatabase,
  makeSettingsService,
  makeTokens,
  registerNode,
  Settings,
  watchStore,
  type CoreOptions,
  type CorePorts,
  type MemoryDatabase,
} from '@fenceline/management';
import {
  apiRoutes,
  makeClient,
  TransportError,
  type Client,
  type RawAnswer,
  type TransportRequest,
} from '@fenceline/protocol';
import type { Listeners } from '../ports/connection.js';
import { simGateway, simPowerDevice } from '../ports/managementPorts.js';
import { bound, clockOf, Life } from '../world/life.js';
import type { World } from '../world/world.js';

export interface SimServerOptions {
  /** Changes the settings that the configuration file would hold. */
  settings?: (settings: Settings) => void;
  core?: CoreOptions;
}

/** The server's node in the network. */
export const SERVER_NODE = 'server';

/**
 * Simulated hosts let their siblings in by key, and by nothing else; what else would be sealed is no
 * secret in a simulation.
 */
const openVault: CorePorts['loginVault'] = {
  seal: async (_owner, secret) => secret.reveal(),
  open: async (_owner, sealed) => new Secret(sealed),
  sealFor: () => {
    throw new Error('no logins here');
  },
};

/**
 * The management server of a simulated site: the real core and the real API behind its dispatcher.
 * It can be killed at any moment; the next life has the same database.
 */
export class SimServer {
  /** The API as an administrator's client has it. */
  readonly api: Client<typeof apiRoutes>;
  readonly #database: MemoryDatabase = makeMemoryDatabase();
  #life: Life | undefined;
  #dispatcher: Dispatcher | undefined;
  #lives = 0;

  constructor(
    private readonly world: World,
    private readonly listeners: Listeners,
    private readonly options: SimServerOptions = {},
  ) {
    this.api = makeClient(apiRoutes, { send: (request) => this.#send(request) });
  }

  /**
   * Begins a life; what it is to begin with is in the database.
   * @throws Error while another one lives: the database lets only one in.
   */
  async start(): Promise<void> {
    if (this.#life?.isDead === false) throw new Error('another server uses the database');
    this.#lives += 1;
    const { world } = this;
    const life = new Life(`server, life ${this.#lives}`);
    this.#life = life;
    world.trace.add(SERVER_NODE, `life ${this.#lives} begins`);
    const store = await this.#database.open();
    life.onEnd(() => store.lose());
    const ports = this.#ports(life);
    const { clock, random, log } = ports;
    const node = await registerNode(store, clock, random);
    await ensureDefaultCluster({ store, clock, random });
    const base = new Settings();
    this.options.settings?.(base);
    const settings = await makeSettingsService({ store, clock, log, base });
    const events = makeEvents(store, clock, log);
    const core = composeCore({ ...ports, store, settings, node, events }, this.options.core);
    const health = watchStore({ store, clock, log });
    const tokens = makeTokens({ store, clock, random });
    const audit = makeAudit(store, clock);
    const { services } = core;
    await core.start();
    this.#dispatcher = makeApiDispatcher({
      ...{ store, clock, random, log, services, settings, events, tokens, audit, node, health },
    });
  }

  /** SIGKILL: nothing of it runs on, nothing is tidied up. */
  crash(): void {
    this.world.trace.add(SERVER_NODE, `life ${this.#lives} ends`);
    this.#life?.end();
    this.#dispatcher = undefined;
  }

  backup(): Uint8Array {
    return this.#database.backup();
  }

  /** Only while no life is there. */
  restore(backup: Uint8Array): void {
    this.#database.restore(backup);
  }

  #ports(life: Life): Omit<CorePorts, 'store' | 'settings' | 'node' | 'events'> {
    const { world, listeners } = this;
    const origin = { world, listeners, node: SERVER_NODE, life };
    return {
      clock: clockOf(life, world.clock),
      random: world.fork(),
      log: makeLogger((line) => {
        if (!life.isDead) world.trace.log(SERVER_NODE, line);
      }),
      gateway: simGateway(origin),
      powerDevice: bound(life, simPowerDevice(world, world.clock)),
      loginVault: openVault,
    };
  }

  async #send({ method, path, fields }: TransportRequest): Promise<RawAnswer> {
    const [life, dispatcher] = [this.#life, this.#dispatcher];
    if (life === undefined || dispatcher === undefined || life.isDead)
      throw new TransportError('refused', 'the server is not there');
    const json = JSON.parse(JSON.stringify(fields)) as unknown;
    const caller = { role: 'admin' as const, name: 'demo' };
    const { signal } = new AbortController();
    const lost = new Promise<never>((_, reject) => {
      life.onEnd(() => reject(new TransportError('reset', 'the server ended')));
    });
    lost.catch(() => undefined);
    const call = { method, path, fields: json, caller, signal };
    const answer = await Promise.race([life.answer(dispatcher.handle(call)), lost]);
    if (answer.kind === 'stream') throw new TransportError('other', 'a stream is no answer');
    const { status, body } = answer.answer;
    return { status, body: JSON.parse(JSON.stringify(body)) as unknown };
  }
}
