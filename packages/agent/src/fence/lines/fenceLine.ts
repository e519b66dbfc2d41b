import {
  messageOf,
  sleep,
  TimeoutError,
  withLimit,
  type Clock,
  type Logger,
  type Random,
} from '@fenceline/common';
import {
  dashed,
  type FenceLineState,
  type FenceNeighbour,
  type LineWay,
} from '@fenceline/protocol';
import { isGreeting, PEER_GREETING, takesManyOrders } from '../order.js';
import { isOwnAddress } from '../ownHost.js';
import type { ProgramSession } from '../programSession.js';
import type { DoorDialer } from '../doorDialer.js';
import type { Dialed, SshDialer } from '../sshDialer.js';
import { pauseMs } from './backoffRules.js';
import { whyNotOurs, type Pong } from './pongRules.js';
import { StandingLine } from './standingLine.js';

export interface LinePorts {
  clock: Clock;
  random: Random;
  log: Logger;
  /** Logins for lines; apart from those of fences, which must never wait for them. */
  dialer: SshDialer;
  doorDialer: DoorDialer;
  /** Every address of this machine. */
  ownAddresses: () => Promise<string[]>;
}

/** Between two pings, milliseconds; spread by chance. */
const PING_EVERY_MS = 10_000;
/** A stall of half a minute (memory, a slow disk) must not cost a host its lines (F27). */
const PING_LIMIT_MS = 45_000;
/** While one waits longer than this, the line is told as not answering. */
const PING_LATE_MS = 3_000;
/** From the first packet to the program's first answer, milliseconds. */
const LAY_LIMIT_MS = 30_000;
const CONNECT_MS = 5_000;
const OWN_ADDRESSES_MS = 1_000;
/** First logins of one list are spread over this time, milliseconds. */
const SPREAD_MS = 500;
/** A program that takes one order per session is asked again after this time: it may be upgraded. */
const UNSUPPORTED_MS = 300_000;
/** The greeting, and the answer to the first ping. */
const FIRST_OUTPUT_BYTES = 4_096;

type Standing = { line: StandingLine; pong: Pong };
type Laid = Standing | { state: 'broken' | 'unsupported'; why: string };

/** The way to one neighbour, laid again whenever it breaks, until it is stopped. */
export class FenceLine {
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  readonly #hostUuid: string;
  #line: StandingLine | undefined;
  /** Ends what is open of a line that is being laid. */
  #giveUp: () => void = () => undefined;
  #state: FenceLineState['state'] = 'connecting';
  #why: string | undefined;
  #sinceMs: number;
  #nextTryMs: number | undefined;
  #roundTripMs: number | undefined;
  #askedMs: number | undefined;
  #failures = 0;

  constructor(
    private readonly ports: LinePorts,
    private readonly neighbour: FenceNeighbour,
    readonly way: LineWay,
  ) {
    this.#hostUuid = dashed(neighbour.hostUuid);
    this.#sinceMs = ports.clock.monotonicMs();
    this.#done = this.#run().catch((error: unknown) => {
      if (!this.#stopping.signal.aborted)
        ports.log.error('a fence line is given up', { error: messageOf(error) });
    });
  }

  state(): FenceLineState {
    const nowMs = this.ports.clock.monotonicMs();
    const late = this.answers ? undefined : `no answer for ${Math.round(this.#lateMs / 1_000)} s`;
    const why = this.#state === 'standing' ? late : this.#why;
    return {
      hostUuid: this.#hostUuid,
      way: this.way,
      state: this.#state,
      forMs: Math.max(0, Math.round(nowMs - this.#sinceMs)),
      ...(this.#roundTripMs === undefined ? {} : { roundTripMs: this.#roundTripMs }),
      ...(this.#nextTryMs === undefined
        ? {}
        : { nextTryInMs: Math.max(0, Math.round(this.#nextTryMs - nowMs)) }),
      ...(why === undefined ? {} : { why }),
    };
  }

  /** No ping is overdue. */
  get answers(): boolean {
    return this.#lateMs <= PING_LATE_MS;
  }

  /** For one order; undefined: it does not stand, or has one already. */
  free(): StandingLine | undefined {
    return this.#line?.isFree === true ? this.#line : undefined;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the fence line is taken down'));
    this.#line?.close('it is taken down');
    this.#giveUp();
    await this.#done;
  }

  get #lateMs(): number {
    return this.#askedMs === undefined ? 0 : this.ports.clock.monotonicMs() - this.#askedMs;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.ports;
    const { signal } = this.#stopping;
    await sleep(clock, random.unit() * SPREAD_MS, signal);
    while (!signal.aborted) {
      this.#become('connecting');
      const laid = await this.#lay();
      if ('line' in laid) await this.#keep(laid);
      else this.#become(laid.state, laid.why);
      this.#line = undefined;
      const ms = this.#pauseMs();
      this.#nextTryMs = clock.monotonicMs() + ms;
      await sleep(clock, ms, signal);
    }
  }

  #pauseMs(): number {
    const unit = this.ports.random.unit();
    if (this.#state === 'unsupported') return UNSUPPORTED_MS * (0.75 + unit / 2);
    this.#failures += 1;
    return pauseMs(this.#failures, unit);
  }

  /** A login, the greetings, and a first ping that says who is there. */
  async #lay(): Promise<Laid> {
    const { clock } = this.ports;
    const { signal } = this.#stopping;
    const untilMs = clock.monotonicMs() + LAY_LIMIT_MS;
    const dialed = await this.#dial();
    if (!dialed.ok) return { state: 'broken', why: `the login failed (${dialed.failure})` };
    this.#giveUp = () => dialed.session.close();
    if (signal.aborted) this.#giveUp();
    try {
      const leftMs = (): number => Math.max(1, untilMs - clock.monotonicMs());
      return await this.#greet(dialed, leftMs);
    } catch (error) {
      dialed.session.close();
      const why =
        error instanceof TimeoutError ? 'the program there does not answer' : messageOf(error);
      return { state: 'broken', why };
    }
  }

  async #dial(): Promise<Dialed> {
    const { dialer, doorDialer } = this.ports;
    const { sshPort, username, hostKeys, doorPort } = this.neighbour;
    const { signal } = this.#stopping;
    const addresses = await this.#addresses();
    const limits = {
      ...{ connectMs: CONNECT_MS, totalMs: LAY_LIMIT_MS },
      ...{ maxOutputBytes: FIRST_OUTPUT_BYTES, signal },
    };
    return this.way === 'door' && doorPort !== undefined
      ? doorDialer.dial({ addresses, port: doorPort }, limits)
      : dialer.dial({ addresses, port: sshPort, username, hostKeys }, limits);
  }

  /** An address that every host has (a bridge of libvirt's) would lead to this very host. */
  async #addresses(): Promise<string[]> {
    const { clock, ownAddresses } = this.ports;
    const limit = { clock, ms: OWN_ADDRESSES_MS, what: 'own addresses' };
    const own = await withLimit(limit, ownAddresses).catch(() => []);
    return this.neighbour.addresses.filter((address) => !isOwnAddress(address, own));
  }

  async #greet({ session }: Extract<Dialed, { ok: true }>, leftMs: () => number): Promise<Laid> {
    const greeting = (await this.#firstLine(session, leftMs())) ?? '';
    if (!takesManyOrders(greeting)) {
      session.close();
      return isGreeting(greeting)
        ? { state: 'unsupported', why: 'the fence program there takes one order per session' }
        : { state: 'broken', why: 'what answers there is not the fence program' };
    }
    session.writeLine(PEER_GREETING);
    const line = new StandingLine(session, this.ports.clock, this.way);
    const pong = await this.#ping(line, leftMs());
    const wrong = whyNotOurs(pong, { hostUuid: this.#hostUuid, before: undefined });
    if (wrong === undefined) return { line, pong };
    line.close(wrong);
    return { state: 'broken', why: wrong };
  }

  #firstLine(session: ProgramSession, ms: number): Promise<string | undefined> {
    const { clock } = this.ports;
    const { signal } = this.#stopping;
    return withLimit({ clock, ms, what: 'greeting', signal }, () => session.nextLine());
  }

  /** Pings until it breaks; settles then. */
  async #keep({ line, pong }: Standing): Promise<void> {
    this.#failures = 0;
    this.#line = line;
    this.#become('standing');
    const { clock, random } = this.ports;
    const ended = new AbortController();
    const over = line.over.then((why) => {
      ended.abort(new Error(why));
      return why;
    });
    const anyEnd = AbortSignal.any([ended.signal, this.#stopping.signal]);
    try {
      for (;;) {
        await sleep(clock, PING_EVERY_MS * (0.75 + random.unit() / 2), anyEnd);
        // An order speaks for the line while it is under way.
        if (!line.isFree) continue;
        const now = await this.#ping(line, PING_LIMIT_MS);
        const wrong = whyNotOurs(now, { hostUuid: this.#hostUuid, before: pong });
        if (wrong !== undefined) line.close(wrong);
      }
    } catch {
      line.close('it is taken down');
      this.#become('broken', await over);
    }
  }

  async #ping(line: StandingLine, limitMs: number): Promise<Pong> {
    const { clock, random } = this.ports;
    const askedMs = clock.monotonicMs();
    this.#askedMs = askedMs;
    try {
      const pong = await line.ping(random.hex(16), limitMs);
      this.#roundTripMs = Math.round((clock.monotonicMs() - askedMs) * 100) / 100;
      return pong;
    } finally {
      this.#askedMs = undefined;
    }
  }

  #become(state: FenceLineState['state'], why?: string): void {
    const before = this.#state;
    if (state === before && why === this.#why) return;
    this.#state = state;
    this.#why = why?.slice(0, 256);
    this.#sinceMs = this.ports.clock.monotonicMs();
    this.#nextTryMs = undefined;
    const facts = {
      neighbour: this.#hostUuid,
      way: this.way,
      state,
      ...(why === undefined ? {} : { why }),
    };
    // A host that stays away is tried for ever; that it is still away is no news.
    if (state === 'standing' || before === 'standing') this.ports.log.info('fence line', facts);
    else this.ports.log.debug('fence line', facts);
  }
}
