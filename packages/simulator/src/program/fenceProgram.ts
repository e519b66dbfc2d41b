import { sleep, type Clock } from '@fenceline/common';
import type { SimHost } from '../world/host.js';
import type { Qemu } from '../world/qemu.js';
import { readOrder, Refused, type OrderedVm, type ReadOrder } from './order.js';

/** What the program on a suspect reads and says; line by line. */
export interface ProgramIo {
  /** The next line of its standard input; undefined at its end. */
  next(): Promise<string | undefined>;
  say(line: string): void;
}

type Drained = 'waiting' | 'synced';

/** What the program knows of one VM of its order. */
interface Work {
  vm: OrderedVm;
  /** To be closed by this order, by pid and start time. */
  found: Map<string, Qemu>;
  /** Runs above the order's epoch: reported, never touched (F35). */
  newer: Set<string>;
  /** libvirt answered after the barrier, or its daemon was ended and looked behind. */
  settled: boolean;
  drained: Map<string, Drained>;
}

const TURN_MS = 10;
const ASK_FIRST_MS = 60;
const PID_NAMESPACE = '4026531836';
/** Nothing came on a line for so long: the peer is gone. */
const IDLE_MS = 180_000;
/** A barrier on a local disk that answers. */
const SYNC_MS = 4;

/**
 * The fence program of a simulated host: a small implementation of protocol v1 of its own, which
 * shares no code with the bash program or with the agent (F19 to F22, F34, F35).
 * @returns its exit code.
 */
export async function fenceProgram(
  io: ProgramIo,
  host: SimHost,
  { clock, orderTokens = false }: { clock: Clock; orderTokens?: boolean },
): Promise<number> {
  io.say('fenceline-fence 1 line=1');
  try {
    if ((await io.next()) !== 'fenceline-peer 1') throw new Refused('version');
    for (;;) {
      const line = await idleNext(io, clock);
      if (line === undefined) return 0;
      if (line.startsWith('ping ')) {
        io.say(pong(host, line));
        continue;
      }
      const order = await readOrder(line, () => io.next());
      if (orderTokens) useToken(host, order);
      await new Program(io, { host, clock, order }).run();
    }
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    io.say(`refused ${thrown.message}`);
    return 2;
  }
}

/** Undefined: nothing came for so long, or nothing will come any more. */
async function idleNext(io: ProgramIo, clock: Clock): Promise<string | undefined> {
  const waited = new AbortController();
  const idle = sleep(clock, IDLE_MS, waited.signal).catch(() => undefined);
  const line = await Promise.race([io.next(), idle.then(() => undefined)]);
  waited.abort(new Error('a line came'));
  return line;
}

function pong(host: SimHost, line: string): string {
  const nonce = /^ping ([0-9a-f]{16,64})$/.exec(line)?.[1];
  if (nonce === undefined) throw new Refused('bad-order');
  return `pong ${nonce} host=${uuidOf(host) ?? '-'} boot=${host.bootId} pidns=${PID_NAMESPACE}`;
}

/** F29a: an order needs a token that lies here, and uses it up whatever comes of it. */
function useToken(host: SimHost, { mode, token }: ReadOrder): void {
  if (mode === 'fence' && !host.memory.run.orderTokens.delete(token))
    throw new Refused('bad-order-token');
}

function uuidOf(host: SimHost): string | undefined {
  return host.memory.run.hostUuid ?? host.memory.disk.hostUuid;
}

class Program {
  readonly #works: Work[];
  readonly #stopAtMs: number;
  readonly #begunMs: number;
  #barrier: 'disk' | 'memory' = 'memory';
  #killedMs = 0;
  #cleanMs = 0;

  constructor(
    private readonly io: ProgramIo,
    private readonly here: { host: SimHost; clock: Clock; order: ReadOrder },
  ) {
    const { clock, order } = here;
    this.#begunMs = clock.monotonicMs();
    const reserveMs = Math.min(order.deadlineMs / 5, 500);
    this.#stopAtMs = this.#begunMs + order.deadlineMs - reserveMs;
    this.#works = order.vms.map((vm) => ({
      vm,
      found: new Map(),
      newer: new Set(),
      settled: false,
      drained: new Map(),
    }));
  }

  async run(): Promise<void> {
    const { host, order } = this.here;
    const self = uuidOf(host);
    // I3: an order for another host ends here, before a barrier is set or anything is killed.
    if (order.host !== undefined && order.host !== self) throw new Refused('wrong-host');
    if (order.mode === 'count') this.#look();
    else await this.#fence();
    const at = this.here.clock.monotonicMs();
    const times = [
      `kill_ms=${Math.round(Math.max(0, this.#killedMs - this.#begunMs))}`,
      `verify_ms=${Math.round(Math.max(0, this.#cleanMs - this.#killedMs))}`,
      `drain_ms=${Math.round(this.#cleanMs === 0 ? 0 : at - this.#cleanMs)}`,
    ].join(' ');
    this.io.say(
      `end ${order.nonce} host=${self ?? '-'} boot=${host.bootId} pidns=${PID_NAMESPACE} uid=0 ` +
        `control=${self === undefined ? 'no-host' : 'ok'} ${times}`,
    );
  }

  async #fence(): Promise<void> {
    // F34: barrier first, then look.
    this.#raiseBarriers();
    this.#endGrants();
    const asked = this.#askLibvirt();
    this.#look();
    await this.#until(() => this.#works.every(({ settled }) => settled), ASK_FIRST_MS);
    for (const { found } of this.#works) for (const qemu of found.values()) this.#destroy(qemu);
    const graceEndMs = this.#now() + this.here.order.graceMs;
    await this.#until(() => {
      this.#look();
      if (this.#now() >= graceEndMs) for (const qemu of this.#living()) this.#kill(qemu);
      return this.#living().length === 0;
    });
    this.#killedMs = this.#now();
    await Promise.race([asked, this.#until(() => false)]);
    await this.#until(() => this.#works.every(({ settled }) => settled) && this.#isClean());
    this.#cleanMs = this.#now();
    await this.#drain();
    this.#look();
    for (const work of this.#works) this.#answer(work);
  }

  #raiseBarriers(): void {
    const { host } = this.here;
    const { run, disk } = host.memory;
    for (const { vm } of this.#works) {
      run.barriers.set(vm.uuid, Math.max(vm.epoch, run.barriers.get(vm.uuid) ?? 0));
      if (!host.stateDiskAnswers) continue;
      this.here.clock.after(SYNC_MS, () => {
        disk.barriers.set(vm.uuid, Math.max(vm.epoch, disk.barriers.get(vm.uuid) ?? 0));
        this.#barrier = 'disk';
      });
    }
  }

  /** A start under way, at or below the barrier: the process that asks libvirt for it is killed. */
  #endGrants(): void {
    const { host } = this.here;
    for (const { vm } of this.#works) {
      const grant = host.memory.run.grants.get(vm.uuid);
      if (grant !== undefined && grant.epoch <= vm.epoch)
        host.processes.kill(grant.pid, grant.startTime);
    }
  }

  /** After the barrier: libvirt's answer waits for the lock of a start that it is at. */
  async #askLibvirt(): Promise<void> {
    const limitMs = Math.min(Math.max(this.here.order.deadlineMs / 4, 1_000), 5_000);
    await Promise.all(
      this.#works.map(async (work) => {
        const answered = await this.#within(limitMs, this.#state(work.vm.uuid));
        if (answered !== true) await this.#endLibvirt();
        this.#look();
        work.settled = true;
      }),
    );
  }

  async #state(vmUuid: string): Promise<boolean> {
    const { libvirtd } = this.here.host;
    if (libvirtd === undefined) return false;
    return libvirtd.domain(vmUuid).then(
      () => true,
      // "No such VM" is an answer; a connection that broke is none.
      () => !libvirtd.hasEnded,
    );
  }

  /** F21: a start may hang in a daemon that doesn't answer: it is ended, then looked behind. */
  async #endLibvirt(): Promise<void> {
    const { host, clock } = this.here;
    if (host.libvirtd !== undefined) host.killLibvirtd();
    await sleep(clock, TURN_MS);
  }

  #destroy(qemu: Qemu): void {
    // Its exit status proves nothing; libvirt only learns that the end was wanted (F19).
    this.here.host.libvirtd?.destroy(qemu.args.vmUuid).catch(() => undefined);
  }

  #kill(qemu: Qemu): void {
    this.here.host.processes.kill(qemu.id.pid, qemu.id.startTime);
  }

  #look(): void {
    const { host } = this.here;
    for (const qemu of host.processes.qemus) {
      const work = this.#works.find(({ vm }) => vm.uuid === qemu.args.vmUuid);
      const key = `${qemu.id.pid} ${qemu.id.startTime}`;
      if (work === undefined || work.found.has(key) || work.newer.has(key)) continue;
      const epoch = qemu.args.epoch ?? this.#recorded(qemu);
      if (epoch !== undefined && epoch > work.vm.epoch) work.newer.add(key);
      else work.found.set(key, qemu);
      this.io.say(`pid ${work.vm.uuid} ${key} epoch=${epoch ?? 'none'} role=qemu`);
    }
  }

  /** F35: the record counts for exactly that pid and start time. */
  #recorded(qemu: Qemu): number | undefined {
    const run = this.here.host.memory.run.runs.get(qemu.args.vmUuid);
    return run?.pid === qemu.id.pid && run.startTime === qemu.id.startTime ? run.epoch : undefined;
  }

  /** F21: a zombie leader with a worker in D is still in the table, and lives. */
  #living(): Qemu[] {
    return this.#works.flatMap(({ found }) => [...found.values()].filter(({ isGone }) => !isGone));
  }

  #isClean(): boolean {
    this.#look();
    return this.#living().length === 0;
  }

  /** F21a: a flush after the death, for each disk; a hung storage answers none. */
  async #drain(): Promise<void> {
    const { storage } = this.here.host.world;
    if (!this.#isClean()) return;
    const waiting = this.#works.flatMap((work) => work.vm.disks.map((disk) => ({ work, disk })));
    for (const { work, disk } of waiting) {
      work.drained.set(disk.source, 'waiting');
      if (!storage.has(disk.source)) continue;
      const sync = storage.sync(this.here.host.name);
      sync.whenDone(() => work.drained.set(disk.source, 'synced'));
    }
    await this.#until(() =>
      waiting.every(({ work, disk }) => work.drained.get(disk.source) === 'synced'),
    );
  }

  #answer({ vm, found, settled, drained }: Work): void {
    const open = vm.disks.filter(({ source }) => drained.get(source) !== 'synced');
    for (const disk of vm.disks) {
      const word = open.includes(disk) ? 'no' : 'synced';
      this.io.say(`disk ${vm.uuid} ${disk.encoded} drained=${word}`);
    }
    const lives = [...found.values()].some(({ isGone }) => !isGone);
    const verdict = lives
      ? 'alive'
      : !settled
        ? 'unattributed'
        : open.length > 0
          ? 'not-drained'
          : 'dead';
    this.io.say(`verdict ${vm.uuid} ${verdict} barrier=${this.#barrier}`);
  }

  #now(): number {
    return this.here.clock.monotonicMs();
  }

  /** Looks every turn until it is so, or `limitMs` or the order's time is over. */
  async #until(isSo: () => boolean, limitMs = Number.POSITIVE_INFINITY): Promise<void> {
    const endMs = Math.min(this.#stopAtMs, this.#now() + limitMs);
    while (!isSo() && this.#now() < endMs)
      await sleep(this.here.clock, Math.min(TURN_MS, endMs - this.#now()));
  }

  async #within<T>(limitMs: number, work: Promise<T>): Promise<T | undefined> {
    const over = sleep(this.here.clock, Math.min(limitMs, this.#stopAtMs - this.#now()));
    return Promise.race([work, over.then(() => undefined)]);
  }
}
