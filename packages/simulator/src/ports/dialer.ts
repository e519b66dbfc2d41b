import type { Dialed, DialFailureKind, DialStage, SshDialer } from '@fenceline/agent';
import { sleep } from '@fenceline/common';
import type { SimHost } from '../world/host.js';
import { connectionTo, kernelAt, type Origin } from './connection.js';
import { startProgram } from './session.js';

/** What each part of a login takes at least, milliseconds; chance adds up to the same again. */
const KEX_MS = 18;
const AUTH_MS = 6;
const EXEC_MS = 9;

/** A SYN that nobody answered is sent again. */
const SYN_AGAIN_MS = 1_000;

type Target = Parameters<SshDialer['dial']>[0];
type Limits = Parameters<SshDialer['dial']>[1];

/** Logins from one host to others, as far as their sshd and the network let them (lab: faults). */
export function simDialer(origin: Origin, home: SimHost): SshDialer {
  return {
    dial: async (target, limits) => {
      const stages: DialStage[] = [];
      try {
        return await new Login(origin, home, { target, limits, stages }).run();
      } catch (thrown) {
        if (!(thrown instanceof LoginFailed)) throw thrown;
        return { ok: false, failure: thrown.failure, stages };
      }
    },
  };
}

class LoginFailed extends Error {
  constructor(readonly failure: DialFailureKind) {
    super(failure);
  }
}

class Login {
  readonly #untilMs: number;
  #lastMs: number;

  constructor(
    private readonly origin: Origin,
    private readonly home: SimHost,
    private readonly ask: { target: Target; limits: Limits; stages: DialStage[] },
  ) {
    this.#lastMs = origin.world.clock.monotonicMs();
    this.#untilMs = this.#lastMs + ask.limits.totalMs;
  }

  async run(): Promise<Dialed> {
    const { target, limits } = this.ask;
    if (limits.signal.aborted) throw new LoginFailed('aborted');
    if (target.hostKeys.length === 0) throw new LoginFailed('localError');
    const { host, address } = await this.#connect();
    this.#mark('connect');
    // The kernel accepts for an sshd that is stopped or frozen; its banner never comes.
    if (host.sshd === 'stopped' || host.isFrozen) await this.#silence('noBanner');
    await this.#take(KEX_MS, host, 'kexFailed');
    if (!target.hostKeys.includes(host.sshHostKey)) throw new LoginFailed('hostKeyMismatch');
    this.#mark('kex');
    await this.#take(AUTH_MS, host, 'authFailed');
    if (!this.#isLetIn(host)) throw new LoginFailed('authFailed');
    this.#mark('auth');
    await this.#take(EXEC_MS, host, 'channelClosed');
    this.#mark('exec');
    const wires = connectionTo(this.origin, host.name);
    const session = startProgram(host, wires, {
      clock: this.origin.world.clock,
      orderTokens: host.asksForTokens,
    });
    return { ok: true, session, address, stages: this.ask.stages };
  }

  async #connect(): Promise<{ host: SimHost; address: string }> {
    const { target, limits } = this.ask;
    const untilMs = this.#lastMs + Math.min(limits.connectMs, limits.totalMs);
    for (;;) {
      for (const address of target.addresses) {
        const host = kernelAt(this.origin, address);
        if (host === undefined) continue;
        await this.#wait(this.#roundTripMs(host), 'connectTimeout');
        if (host.sshd === 'dead') throw new LoginFailed('refused');
        return { host, address };
      }
      const leftMs = untilMs - this.origin.world.clock.monotonicMs();
      if (leftMs <= 0) throw new LoginFailed('connectTimeout');
      await this.#wait(Math.min(SYN_AGAIN_MS, leftMs), 'connectTimeout');
    }
  }

  /** F29: the key of this very host, from its own address. */
  #isLetIn(host: SimHost): boolean {
    return host.siblings.some(
      ({ fencePublicKey, addresses }) =>
        fencePublicKey === this.home.fenceKey && addresses.includes(this.home.address),
    );
  }

  /** A part of the login that needs the other side. */
  async #take(atLeastMs: number, host: SimHost, failure: DialFailureKind): Promise<void> {
    const ms = atLeastMs * (1 + this.origin.world.random.unit()) + this.#roundTripMs(host);
    await this.#wait(Math.ceil(ms * 10) / 10, failure);
    const answers = kernelAt(this.origin, host.address) === host && !host.isFrozen;
    if (!answers) await this.#silence(failure);
  }

  #roundTripMs(host: SimHost): number {
    const { network } = this.origin.world;
    const [from, to] = [this.origin.node, host.name];
    return network.delayMs({ from, to }) + network.delayMs({ from: to, to: from });
  }

  async #silence(failure: DialFailureKind): Promise<never> {
    await this.#wait(this.#leftMs(), failure);
    throw new LoginFailed(failure);
  }

  async #wait(ms: number, failure: DialFailureKind): Promise<void> {
    const { world } = this.origin;
    const isTooLong = ms > this.#leftMs();
    try {
      await sleep(world.clock, Math.min(ms, this.#leftMs()), this.ask.limits.signal);
    } catch {
      throw new LoginFailed('aborted');
    }
    if (isTooLong) throw new LoginFailed(failure);
  }

  #leftMs(): number {
    return Math.max(0, this.#untilMs - this.origin.world.clock.monotonicMs());
  }

  #mark(name: DialStage['name']): void {
    const nowMs = this.origin.world.clock.monotonicMs();
    this.ask.stages.push({ name, ms: nowMs - this.#lastMs });
    this.#lastMs = nowMs;
  }
}
