import { BARRIERS, dashed, DRAINED, type BarrierKind, type Drained } from '@fenceline/protocol';
import { decodeSource, isGreeting, type FenceOrder } from './order.js';

/** A process that the program found before it killed anything. */
export interface FoundProcess {
  pid: number;
  startTime: number;
  /** Null: it bore no mark. */
  epoch: number | null;
}

export const PROGRAM_VERDICTS = [
  'dead',
  'alive',
  'other-writer',
  'not-drained',
  'unattributed',
] as const;
export type ProgramVerdict = (typeof PROGRAM_VERDICTS)[number];

/** What the program said about one VM. */
export interface VmAnswer {
  found: FoundProcess[];
  disks: { source: string; drained: Drained }[];
  writers: { pid: number; comm: string; source: string }[];
  /** A disk of it is written to through io_uring, and so no look can show it drained. */
  usesUring?: true;
  /** `conflict`: more than one verdict, which is worth none. */
  verdict?: ProgramVerdict | 'conflict';
  barrier?: BarrierKind;
}

/** The program's last line: who answered, and whether it could see (F22). */
export interface EndLine {
  nonce: string;
  host: string;
  boot: string;
  pidNamespace: string;
  uid: number;
  control: string;
  /** Milliseconds, by stage, as far as the program measured them. */
  stages: Partial<Record<'barrier' | 'kill' | 'verify' | 'drain', number>>;
}

export interface ProgramAnswer {
  greeted: boolean;
  /** The program's own reason for refusing the order: one word of ours, never free text. */
  refused?: string;
  /** By VM, dashed; exactly the VMs of the order. */
  vms: Map<string, VmAnswer>;
  /** Only if it was the last line that came. */
  end?: EndLine;
}

/** Bounds on hostile output; more is cut off and never an answer. */
export const MAX_FOUND_PER_VM = 64;
const MAX_WRITERS_PER_VM = 64;
const MAX_DISKS_PER_VM = 128;

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const PID = new RegExp(`^pid (${UUID}) (\\d{1,10}) (\\d{1,16}) epoch=(\\d{1,15}|none)(?: .*)?$`);
const DISK = new RegExp(`^disk (${UUID}) (\\S{1,3072}) drained=(\\w{1,16})( .*)?$`);
const WRITER = new RegExp(`^writer (${UUID}) (\\d{1,10}) (\\S{1,64}) (\\S{1,3072})(?: .*)?$`);
const VERDICT = new RegExp(`^verdict (${UUID}) ([a-z-]{1,32}) +barrier=(\\w{1,16})(?: .*)?$`);
/** Whatever else it says. */
const ABOUT = new RegExp(`^(?:pid|disk|writer|verdict) (${UUID})(?= |$)`);
const END = /^end ([0-9a-f]{16,64})((?: [a-z_]{1,32}=[A-Za-z0-9._-]{0,64})+)$/;
const REFUSED = /^refused ([a-z-]{1,32})(?: .*)?$/;

/**
 * Reads the program's answer line by line. The input may be hostile: what is not a line of the
 * protocol about a VM of this order is ignored, so that no verdict leaks to another VM (F17).
 */
export class AnswerReader {
  readonly #answer: ProgramAnswer;
  #first: boolean;

  /** @param greeted the session's greeting came with an earlier order, or before the first one. */
  constructor(order: FenceOrder, { greeted = false }: { greeted?: boolean } = {}) {
    const vms = order.vms.map((vm): [string, VmAnswer] => [
      dashed(vm.vmUuid),
      { found: [], disks: [], writers: [] },
    ]);
    this.#first = !greeted;
    this.#answer = { greeted, vms: new Map(vms) };
  }

  get answer(): ProgramAnswer {
    return this.#answer;
  }

  /** Takes the next line. An unknown version ends it: nothing after it is understood. */
  push(line: string): void {
    if (this.#first) {
      this.#first = false;
      this.#answer.greeted = isGreeting(line);
      return;
    }
    if (!this.#answer.greeted) return;
    // safety: F22: only the program's last line is its word; anything behind it takes it back
    delete this.#answer.end;
    const end = END.exec(line);
    if (end) this.#end(end);
    else if (line.startsWith('refused '))
      this.#answer.refused = REFUSED.exec(line)?.[1] ?? 'unknown';
    else this.#aboutVm(line);
  }

  #aboutVm(line: string): void {
    const [pid, disk] = [PID.exec(line), DISK.exec(line)];
    const [writer, verdict] = [WRITER.exec(line), VERDICT.exec(line)];
    const vm = this.#answer.vms.get(ABOUT.exec(line)?.[1] ?? '');
    if (vm === undefined) return;
    // safety: a line about this VM that can't be read may have said that it lives
    if ((pid ?? disk ?? writer ?? verdict) === null) vm.verdict = 'conflict';
    if (pid) addFound(vm, pid);
    if (disk) addDisk(vm, disk);
    if (writer) addWriter(vm, writer);
    if (verdict) setVerdict(vm, verdict);
  }

  #end([, nonce = '', rest = '']: RegExpExecArray): void {
    const fields = new Map(
      rest
        .trim()
        .split(' ')
        .map((word): [string, string] => [
          word.slice(0, word.indexOf('=')),
          word.slice(word.indexOf('=') + 1),
        ]),
    );
    const stages: EndLine['stages'] = {};
    for (const name of ['barrier', 'kill', 'verify', 'drain'] as const) {
      const ms = fields.get(`${name}_ms`);
      if (ms !== undefined && /^\d{1,9}$/.test(ms)) stages[name] = Number(ms);
    }
    this.#answer.end = {
      nonce,
      host: fields.get('host') ?? '',
      boot: fields.get('boot') ?? '',
      pidNamespace: fields.get('pidns') ?? '',
      uid: /^\d{1,10}$/.test(fields.get('uid') ?? '') ? Number(fields.get('uid')) : -1,
      control: fields.get('control') ?? '',
      stages,
    };
  }
}

function addFound(vm: VmAnswer, [, , pid, startTime, epoch]: RegExpExecArray): void {
  if (vm.found.length >= MAX_FOUND_PER_VM) return;
  vm.found.push({
    pid: Number(pid),
    startTime: Number(startTime),
    epoch: epoch === 'none' ? null : Number(epoch),
  });
}

function addDisk(vm: VmAnswer, [, , encoded = '', word, rest = '']: RegExpExecArray): void {
  if (word === 'no' && rest.split(' ').includes('why=io_uring')) vm.usesUring = true;
  const source = decodeSource(encoded);
  const drained = DRAINED.find((one) => one === word) ?? 'no';
  if (source === undefined || vm.disks.length >= MAX_DISKS_PER_VM) return;
  vm.disks.push({ source, drained });
}

function addWriter(vm: VmAnswer, [, , pid, comm = '', encoded = '']: RegExpExecArray): void {
  if (vm.writers.length >= MAX_WRITERS_PER_VM) return;
  vm.writers.push({ pid: Number(pid), comm, source: decodeSource(encoded) ?? '' });
}

function setVerdict(vm: VmAnswer, [, , word, barrier]: RegExpExecArray): void {
  const verdict = PROGRAM_VERDICTS.find((one) => one === word);
  const kind = BARRIERS.find((one) => one === barrier);
  // safety: a second verdict for the same VM makes both worthless, whatever they say
  const first = vm.verdict === undefined && verdict !== undefined && kind !== undefined;
  vm.verdict = first ? verdict : 'conflict';
  if (kind !== undefined) vm.barrier = kind;
}
