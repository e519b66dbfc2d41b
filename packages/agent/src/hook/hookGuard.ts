import {
  makeKeyedQueue,
  messageOf,
  sleep,
  withLimit,
  type Clock,
  type Logger,
  type Random,
} from '@fenceline/common';
import { HookState, ok, ProtectRsp, type ProtectCmd } from '@fenceline/protocol';
import type { HookWorld } from './hookPorts.js';
import { judgeProbe, PROBE_PREFIX, type ProbeVerdict } from './judgeProbe.js';
import { countOfList, renderList } from './protectedList.js';

export interface HookPorts {
  clock: Clock;
  random: Random;
  log: Logger;
  hook: HookWorld;
}

/** Keeps the libvirt hook in place, and knows whether it works (F34). */
export interface HookGuard {
  /** Gives the hook the list that is kept, and begins to probe. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Probes soon: libvirt's daemon may be another one. */
  check(): void;
  state(): HookState;
  /** The same for heartbeats: undefined while no probe has ended. */
  known(): HookState | undefined;
  /**
   * `POST /host/protect`
   * @throws DomainError BAD_INPUT, or Error if the list is not on disk; the hook may have it then.
   */
  protect(command: ProtectCmd): Promise<ProtectRsp>;
}

/** While it does not work it is looked at more often, milliseconds. */
const BROKEN_EVERY_MS = 5_000;
/** A probe that is older than this many intervals says nothing any more. */
const STALE_INTERVALS = 3;
/** Longest wait for the disk; the hook has the list in memory all the same. */
const DISK_LIMIT_MS = 5_000;
/** Longest wait for a look that hangs, when the agent stops. */
const STOP_WAIT_MS = 1_000;
const LISTS = 'lists';

export function makeHookGuard(ports: HookPorts): HookGuard {
  return new Guard(ports);
}

class Guard implements HookGuard {
  readonly #stopping = new AbortController();
  readonly #queue = makeKeyedQueue(64);
  #list: { text: string; vms: number } | undefined;
  #listProblem: string | undefined;
  #verdict: ProbeVerdict = { working: false, why: 'it was not probed yet' };
  #checkedMs: number | undefined;
  #wanted = false;
  #wake = (): void => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly ports: HookPorts) {}

  async start(): Promise<void> {
    await this.#queue.run(LISTS, () => this.#offer());
    this.#running = this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent stops'));
    const limit = { clock: this.ports.clock, ms: STOP_WAIT_MS, what: 'a look at the hook' };
    await withLimit(limit, () => this.#running).catch(() => undefined);
  }

  check(): void {
    this.#wanted = true;
    this.#wake();
  }

  state(): HookState {
    const { clock, hook } = this.ports;
    const ageMs = this.#checkedMs === undefined ? null : clock.monotonicMs() - this.#checkedMs;
    const limitMs = STALE_INTERVALS * Math.max(hook.probeEveryMs, BROKEN_EVERY_MS);
    const why = this.#whyNot(ageMs !== null && ageMs > limitMs);
    return Object.assign(new HookState(), {
      working: why === undefined,
      checkedAgeMs: ageMs === null ? null : Math.round(ageMs),
      protectedVms: this.#list?.vms ?? null,
      ...(why === undefined ? {} : { why: why.slice(0, 512) }),
    });
  }

  known(): HookState | undefined {
    const state = this.state();
    return state.checkedAgeMs === null && this.#listProblem === undefined ? undefined : state;
  }

  async protect({ vms }: ProtectCmd): Promise<ProtectRsp> {
    const text = renderList(vms);
    return this.#queue.run(LISTS, async () => {
      const { log, clock, hook } = this.ports;
      if (text !== this.#list?.text) log.info('the protected VMs changed', { vms: vms.length });
      this.#list = { text, vms: countOfList(text) ?? 0 };
      try {
        const limit = { clock, ms: DISK_LIMIT_MS, what: 'the disk, for the protected VMs' };
        await withLimit(limit, () => hook.lists.keep(text));
      } finally {
        // safety: F34: a disk that hangs must not keep the hook from knowing a new VM
        await this.#offer();
      }
      return ok(ProtectRsp, { hook: this.state() });
    });
  }

  #whyNot(stale: boolean): string | undefined {
    if (this.#listProblem !== undefined) return this.#listProblem;
    // safety: F34: probes that no longer end do not go on succeeding
    if (stale) return 'no probe has ended for a long time';
    return this.#verdict.working ? undefined : this.#verdict.why;
  }

  /** A list that can't be read stays as it is: the hook refuses what it does not understand. */
  async #offer(): Promise<void> {
    const { hook, log } = this.ports;
    try {
      this.#list ??= await this.#kept();
      if (this.#list !== undefined) await hook.lists.offer(this.#list.text);
      this.#listProblem = undefined;
    } catch (error) {
      const problem = `the list of protected VMs: ${messageOf(error)}`;
      if (problem !== this.#listProblem) log.error('the hook has no list', { why: problem });
      this.#listProblem = problem;
    }
  }

  async #kept(): Promise<{ text: string; vms: number } | undefined> {
    const text = await this.ports.hook.lists.kept();
    if (text === undefined) return undefined;
    const vms = countOfList(text);
    if (vms === undefined) throw new Error('what is kept on disk is not whole');
    return { text, vms };
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping;
    const everyMs = this.ports.hook.probeEveryMs;
    while (!signal.aborted) {
      this.#wanted = false;
      const verdict = await this.#look();
      if (signal.aborted) return;
      if (verdict !== undefined) this.#note(verdict);
      const fine = verdict?.working === true;
      await this.#pause(fine ? everyMs : Math.min(BROKEN_EVERY_MS, everyMs));
    }
  }

  /**
   * File, list, probe; and once more after libvirt was told to look for hooks. Undefined: libvirt
   * can't be asked, so nothing new is known, and nothing can be started through it either.
   */
  async #look(): Promise<ProbeVerdict | undefined> {
    const { hook, log } = this.ports;
    try {
      if (await hook.file.install()) log.warn('the libvirt hook was put in its place');
    } catch (error) {
      return { working: false, why: messageOf(error) };
    }
    await this.#queue.run(LISTS, () => this.#offer());
    try {
      const first = await this.#probe();
      // libvirt looks for hooks as it starts; of the first one that comes later it must be told.
      if (first.working || !(await hook.caller.hangUp())) return first;
      log.warn('libvirt was told to look for hooks', { why: first.why });
      return await this.#probe();
    } catch (error) {
      log.debug('libvirt could not be asked for a probe', { error: messageOf(error) });
      return undefined;
    }
  }

  async #probe(): Promise<ProbeVerdict> {
    const nonce = this.ports.random.hex(16);
    return judgeProbe(nonce, await this.ports.hook.caller.probe(`${PROBE_PREFIX}${nonce}`));
  }

  #note(verdict: ProbeVerdict): void {
    const { log, clock } = this.ports;
    const before = this.#verdict;
    this.#checkedMs = clock.monotonicMs();
    this.#verdict = verdict;
    if (verdict.working && !before.working) log.info('the libvirt hook works');
    if (!verdict.working && (before.working || before.why !== verdict.why))
      log.error('the libvirt hook does not work', { why: verdict.why });
  }

  async #pause(ms: number): Promise<void> {
    if (this.#wanted) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort(new Error('asked for'));
    const either = AbortSignal.any([this.#stopping.signal, woken.signal]);
    await sleep(this.ports.clock, ms, either).catch(() => undefined);
    this.#wake = () => undefined;
  }
}
