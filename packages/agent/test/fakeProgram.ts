import type { Clock } from '@fenceline/common';
import type { Dialed, DoorDialer, ProgramSession, SessionEnd, SshDialer } from '../src/index.js';

export const SUSPECT = 'aaaaaaaa-2222-4333-8444-555555555555';
export const VM_A = '11111111-2222-4333-8444-555555555555';
export const VM_B = '21111111-2222-4333-8444-555555555555';

/** What the fake program does with one order: lines to say, or nothing. */
export type Answers = (head: string, vms: readonly string[]) => readonly string[];

/** A fence program that serves many orders, as far as a peer can tell; all of it breakable. */
export class FakeProgram implements ProgramSession {
  readonly ended: Promise<SessionEnd>;
  /** Lines that it was given. */
  readonly given: string[] = [];
  greeting = 'fenceline-fence 1 line=1';
  host = SUSPECT;
  boot = 'b-1';
  /** Silent: its host is stalled or frozen. */
  mute = false;
  /** Order heads that it got. */
  readonly orders: string[] = [];
  answers: Answers = wholeAnswer;
  closed = false;
  inputEnded = false;
  readonly #out: string[] = [];
  #bytes = 0;
  #maxBytes = Number.POSITIVE_INFINITY;
  #waiter: ((line: string | undefined) => void) | undefined;
  #end!: (how: SessionEnd) => void;
  #over = false;
  #vms: string[] = [];

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  writeLine(line: string): void {
    this.given.push(line);
    if (this.mute) return;
    const [word = '', nonce = ''] = line.split(' ');
    if (word === 'ping') this.say(`pong ${nonce} host=${this.host} boot=${this.boot} pidns=4`);
    if (word === 'fence' || word === 'count') {
      this.orders.push(line);
      this.#vms = [];
    }
    if (word === 'vm') this.#vms.push(line);
    const head = this.orders.at(-1) ?? '';
    if (word === 'vm' && head.includes(` vms=${this.#vms.length} `))
      for (const one of this.answers(head, this.#vms)) this.say(one);
  }

  say(line: string): void {
    if (this.#over) return;
    this.#bytes += line.length + 1;
    if (this.#bytes > this.#maxBytes) this.finish({ kind: 'tooMuchOutput' });
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter === undefined) this.#out.push(line);
    else waiter(line);
  }

  finish(how: SessionEnd): void {
    this.#over = true;
    this.#end(how);
    this.#waiter?.(undefined);
    this.#waiter = undefined;
  }

  endInput(): void {
    this.inputEnded = true;
    this.finish({ kind: 'exit', code: 0 });
  }

  countAnew(maxOutputBytes: number): void {
    this.#bytes = 0;
    this.#maxBytes = maxOutputBytes;
  }

  nextLine(): Promise<string | undefined> {
    const line = this.#out.shift();
    if (line !== undefined || this.#over) return Promise.resolve(line);
    return new Promise((resolve) => (this.#waiter = resolve));
  }

  close(): void {
    this.closed = true;
    this.finish({ kind: 'closed' });
  }

  output(): ReturnType<ProgramSession['output']> {
    return { stdoutBytes: this.#bytes, stderrBytes: 0, sha256: '' };
  }
}

/** Every VM of the order is dead, and the last line proves it. */
export function wholeAnswer(head: string, vms: readonly string[]): string[] {
  const [, nonce = ''] = head.split(' ');
  return [
    ...vms.map((vm) => `verdict ${vm.split(' ')[1]} dead barrier=disk`),
    `end ${nonce} host=${SUSPECT} boot=b-1 pidns=4 uid=0 control=ok`,
  ];
}

/** A dialer whose logins are played by programs of the test's, in order; then it refuses. */
export function dialerTo(
  programs: (FakeProgram | 'refused')[],
  clock?: Clock,
): SshDialer &
  DoorDialer & { dialedAtMs: number[]; ports: number[]; dialedTo: (readonly string[])[] } {
  const dialedAtMs: number[] = [];
  const ports: number[] = [];
  const dialedTo: (readonly string[])[] = [];
  return {
    dialedAtMs,
    ports,
    dialedTo,
    dial: async (target: { addresses: readonly string[]; port: number }): Promise<Dialed> => {
      const { addresses, port } = target;
      dialedTo.push(addresses);
      dialedAtMs.push(clock?.monotonicMs() ?? 0);
      ports.push(port);
      const session = programs.shift() ?? 'refused';
      if (session === 'refused') return { ok: false, failure: 'refused', stages: [] };
      session.say(session.greeting);
      return { ok: true, session, address: '10.0.0.1', stages: [{ name: 'connect', ms: 1 }] };
    },
  };
}
