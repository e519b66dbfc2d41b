import type { Dispatcher } from '@fenceline/common';
import type { RawAnswer } from '@fenceline/protocol';
import type { SimHost } from '../world/host.js';
import type { Life } from '../world/life.js';
import { Flow } from '../world/network.js';
import type { World } from '../world/world.js';

export const SSH_PORT = 22;
export const AGENT_PORT = 7_070;

/** A program that serves calls on a host's agent port. */
export interface Listener {
  life: Life;
  dispatcher: Dispatcher;
}

/** A call as it reached a host's agent. */
export interface SeenCall {
  readonly atMs: number;
  readonly host: string;
  readonly path: string;
  readonly fields: unknown;
}

/** At least so many calls are kept. */
const CALLS_KEPT = 20_000;

/** An answer in the agent's place; undefined: the agent answers itself. */
export type ScriptedAnswer = (fields: unknown) => RawAnswer | undefined;

/** Who listens on which host's agent port now, what was asked there, and what is scripted (F32). */
export class Listeners {
  /** The calls that agents got, in order, the newest ones; streams too. */
  readonly calls: SeenCall[] = [];
  readonly #byHost = new Map<string, Listener>();
  readonly #scripts = new Map<string, ScriptedAnswer>();

  /** Listens until its life ends. */
  listen(host: SimHost, listener: Listener): void {
    this.#byHost.set(host.name, listener);
    listener.life.onEnd(() => {
      if (this.#byHost.get(host.name) === listener) this.#byHost.delete(host.name);
    });
  }

  on(host: SimHost): Listener | undefined {
    return this.#byHost.get(host.name);
  }

  /** From now on this answers calls of that path on that host, as long as its agent lives. */
  script(host: string, path: string, answer: ScriptedAnswer): void {
    this.#scripts.set(`${host} ${path}`, answer);
  }

  /** Notes a call that has arrived, and gives its scripted answer. */
  arrived(call: SeenCall): RawAnswer | undefined {
    this.calls.push(call);
    if (this.calls.length > 2 * CALLS_KEPT) this.calls.splice(0, CALLS_KEPT);
    return this.#scripts.get(`${call.host} ${call.path}`)?.(call.fields);
  }
}

/** A program that makes calls: where it runs, and its life, whose end closes its sockets. */
export interface Origin {
  world: World;
  listeners: Listeners;
  /** Its node in the network. */
  node: string;
  life: Life;
}

/** The host behind an address, if packets of `node` reach its kernel and come back now. */
export function kernelAt(
  { world, node }: Pick<Origin, 'world' | 'node'>,
  address: string,
): SimHost | undefined {
  const host = world.at(address);
  if (host === undefined || !host.isOn) return undefined;
  return world.network.bothWays({ from: node, to: host.name }) ? host : undefined;
}

/** Both directions of one TCP connection. */
export interface Connection {
  /** Runs the action when what is sent now arrives there. */
  there(action: () => void): void;
  back(action: () => void): void;
  /** Nothing that comes back arrives any more; what is on its way there does. */
  close(): void;
}

export function connectionTo(
  { world, node }: Pick<Origin, 'world' | 'node'>,
  to: string,
): Connection {
  const there = new Flow(world.clock, world.network, { from: node, to });
  const back = new Flow(world.clock, world.network, { from: to, to: node });
  return {
    there: (action) => there.send(action),
    back: (action) => back.send(action),
    close: () => back.close(),
  };
}
