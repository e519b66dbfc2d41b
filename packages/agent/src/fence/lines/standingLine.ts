import { TimeoutError, withLimit, type Clock } from '@fenceline/common';
import { outputLimit } from '../answers.js';
import type { LineWay } from '@fenceline/protocol';
import { encodeBareOrder, type FenceOrder } from '../order.js';
import { AnswerReader } from '../programAnswer.js';
import type { ProgramSession, SessionEnd } from '../programSession.js';
import type { OrderLimits, OrderResult } from '../runOrder.js';
import { readPong, type Pong } from './pongRules.js';

/** Between orders the program says one short line per ping. */
const IDLE_OUTPUT_BYTES = 4_096;

/**
 * A session in which the fence program waits for orders, one after the other (F27). What it says
 * when nobody asked makes it worthless, and it is closed: its next answer could be about anything.
 */
export class StandingLine {
  /** Settles with the reason when the line is worth nothing any more. Never rejects. */
  readonly over: Promise<string>;
  #why: string | undefined;
  /** It said something that nobody had asked for. */
  #spoilt = false;
  #settle!: (why: string) => void;
  #ping: { nonce: string; answered(pong: Pong): void; failed(error: Error): void } | undefined;
  #order: { reader: AnswerReader; settled(): void; heard?: (() => void) | undefined } | undefined;

  constructor(
    private readonly session: ProgramSession,
    private readonly clock: Clock,
    readonly way: LineWay = 'ssh',
  ) {
    this.over = new Promise((resolve) => (this.#settle = resolve));
    session.countAnew(IDLE_OUTPUT_BYTES);
    void this.#read();
  }

  /** No order is under way, and none has spoilt it. */
  get isFree(): boolean {
    return this.#why === undefined && this.#order === undefined;
  }

  /**
   * One at a time, and not during an order.
   * @throws Error if no answer came within `limitMs` (the line is closed then), or it is over.
   */
  async ping(nonce: string, limitMs: number): Promise<Pong> {
    if (this.#why !== undefined) throw new Error(this.#why);
    this.session.countAnew(IDLE_OUTPUT_BYTES);
    const answer = new Promise<Pong>((answered, failed) => {
      this.#ping = { nonce, answered, failed };
    });
    this.session.writeLine(`ping ${nonce}`);
    try {
      return await withLimit({ clock: this.clock, ms: limitMs, what: 'ping' }, () => answer);
    } catch (error) {
      this.close('a ping got no answer');
      throw error;
    } finally {
      this.#ping = undefined;
    }
  }

  /**
   * Gives one order and reads its answer, for at most `limitMs`. Afterwards the line stands only if
   * that answer was complete.
   * @throws the signal's reason if it fires; Error if the line is not free.
   */
  async order(order: FenceOrder, limits: OrderLimits): Promise<OrderResult> {
    const { clock, limitMs, signal, heard } = limits;
    if (!this.isFree) throw new Error('the fence line is not free');
    const lines = encodeBareOrder(order);
    const reader = new AnswerReader(order, { greeted: true });
    this.session.countAnew(outputLimit(lines));
    const ended = new Promise<void>((settled) => (this.#order = { reader, settled, heard }));
    for (const line of lines) this.session.writeLine(line);
    try {
      await withLimit({ clock, ms: limitMs, what: 'fence line', signal }, () => ended);
      await turn();
      // safety: F22: what came behind the last line takes it back
      if (this.#spoilt) delete reader.answer.end;
      return { answer: reader.answer, end: await this.#endOf(reader) };
    } catch (error) {
      if (error instanceof TimeoutError) return { answer: reader.answer, end: undefined };
      throw error;
    } finally {
      this.#order = undefined;
      // safety: F22: what is still to come of this order must never be read as the next one's answer
      if (reader.answer.end === undefined) this.close('an order on it got no complete answer');
      else this.session.countAnew(IDLE_OUTPUT_BYTES);
    }
  }

  /** What has come since the last order or ping was given. */
  output(): ReturnType<ProgramSession['output']> {
    return this.session.output();
  }

  /** Repeating is harmless; the first reason counts. */
  close(why: string): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    this.session.close();
    this.#ping?.failed(new Error(why));
    this.#order?.settled();
    this.#settle(why);
  }

  /** A refusal is a word of the program's own; a line that stands has not ended; else how it broke. */
  async #endOf(reader: AnswerReader): Promise<SessionEnd | undefined> {
    if (reader.answer.refused !== undefined) return undefined;
    return this.#why === undefined ? undefined : this.session.ended;
  }

  async #read(): Promise<void> {
    for (;;) {
      const line = await this.session.nextLine();
      if (line === undefined) {
        this.close(`the session ended (${(await this.session.ended).kind})`);
        return;
      }
      if (this.#why !== undefined) return;
      this.#take(line);
    }
  }

  #take(line: string): void {
    const pong = readPong(line);
    if (pong !== undefined && pong.nonce === this.#ping?.nonce) {
      this.#ping.answered(pong);
      this.#ping = undefined;
      return;
    }
    const order = this.#order;
    const isOpen = order !== undefined && order.reader.answer.end === undefined;
    // safety: F27: a line that nobody asked for: who knows what the next one would be about
    if (!isOpen || pong !== undefined) {
      this.#spoilt = true;
      this.close('it said something that nobody had asked for');
      return;
    }
    order.reader.push(line);
    order.heard?.();
    const { end, refused } = order.reader.answer;
    if (end !== undefined || refused !== undefined) order.settled();
  }
}

/** Lets what has arrived already be read: it may take back what came before it. */
async function turn(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await Promise.resolve();
}
