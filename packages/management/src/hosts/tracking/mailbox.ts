import { messageOf, withLimit, type Clock, type Logger } from '@fenceline/common';
import type { VmSeen } from '@fenceline/protocol';
import type { HostJudgement, HostListener, HostVmList } from '../contracts.js';

/** One call of the listener may take this long; then the next one follows, ms. */
const DELIVERY_MS = 60_000;
/** VM events that may wait for one host; what is beyond is dropped and read anew. */
const MAX_VM_EVENTS = 1_000;

type Letter =
  | { kind: 'list'; list: HostVmList }
  | { kind: 'vm'; change: { hostUuid: string; bootId: string; vm: VmSeen } }
  | { kind: 'judged'; judgement: HostJudgement };

export interface MailboxOptions {
  clock: Clock;
  log: Logger;
  listener: HostListener;
  /** Events were dropped: the whole list has to be read again. */
  overflowed: () => void;
}

/** Tells the listener about one host, in order, one at a time; never throws, never grows. */
export class Mailbox {
  readonly #waiting: Letter[] = [];
  #delivering: Promise<void> | undefined;
  #stopped = false;

  constructor(private readonly options: MailboxOptions) {}

  list(list: HostVmList): void {
    this.#post({ kind: 'list', list });
  }

  vm(change: { hostUuid: string; bootId: string; vm: VmSeen }): void {
    if (this.#waiting.filter(({ kind }) => kind === 'vm').length < MAX_VM_EVENTS)
      this.#post({ kind: 'vm', change });
    else this.options.overflowed();
  }

  /** Only the newest judgement that was not delivered yet counts. */
  judged(judgement: HostJudgement): void {
    const stale = this.#waiting.findIndex(({ kind }) => kind === 'judged');
    if (stale >= 0) this.#waiting.splice(stale, 1);
    this.#post({ kind: 'judged', judgement });
  }

  /** Drops what waits and resolves when the delivery under way is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.length = 0;
    await this.#delivering;
  }

  #post(letter: Letter): void {
    if (this.#stopped) return;
    this.#waiting.push(letter);
    this.#delivering ??= this.#deliverAll().finally(() => (this.#delivering = undefined));
  }

  async #deliverAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const letter = next;
      const { clock, log } = this.options;
      try {
        const limit = { clock, ms: DELIVERY_MS, what: `delivery of ${letter.kind}` };
        await withLimit(limit, () => this.#deliver(letter));
      } catch (thrown) {
        const facts = { what: letter.kind, error: messageOf(thrown) };
        log.error('news of a host could not be delivered', facts);
      }
    }
  }

  #deliver(letter: Letter): Promise<void> {
    const { listener } = this.options;
    if (letter.kind === 'list') return listener.vmsListed(letter.list);
    if (letter.kind === 'vm') return listener.vmChanged(letter.change);
    return listener.judged(letter.judgement);
  }
}
