import {
  makeKeyedQueue,
  messageOf,
  sleep,
  type Clock,
  type Logger,
  type MonotonicMs,
  type Random,
} from '@fenceline/common';
import { pauseMs } from '../lines/backoffRules.js';
import type { BackgroundProgram, BackgroundPrograms, FoundProgram } from './background.js';
import {
  asksForTokens,
  doorProgram,
  fits,
  listenerProgram,
  type DoorSettings,
} from './doorRules.js';
import type { FenceDoor } from './fenceDoor.js';

/** How often it is looked whether both programs still run, ms. */
const LOOK_EVERY_MS = 3_000;
/** One that has run for so long did not fail when it started, ms. */
const SETTLED_MS = 30_000;
const MAX_WAITING = 16;

export interface DoorPorts {
  clock: Clock;
  random: Random;
  log: Logger;
  programs: BackgroundPrograms;
  /** Digest of the TLS files as they are now. */
  identityMark(): Promise<string>;
}

export function makeFenceDoor(ports: DoorPorts, settings: DoorSettings): FenceDoor {
  return new Keeper(ports, settings);
}

/** What is known of one of the two programs. */
interface Care {
  failures: number;
  /** No start before this. */
  notBeforeMs: MonotonicMs;
  startedMs: MonotonicMs;
  told: string;
}

/** Keeps the fence program's listener and the door before it running, in this order. */
class Keeper implements FenceDoor {
  readonly port: number;
  readonly #cares = new Map<string, Care>();
  readonly #passes = makeKeyedQueue(MAX_WAITING);
  readonly #stopping = new AbortController();
  #orderTokens: boolean | undefined;
  #loop: Promise<void> | undefined;

  constructor(
    private readonly ports: DoorPorts,
    private readonly settings: DoorSettings,
  ) {
    this.port = settings.port;
  }

  async want({ orderTokens }: { orderTokens: boolean }): Promise<void> {
    this.#orderTokens = orderTokens;
    await this.#pass();
  }

  start(): void {
    this.#loop = this.#run().catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent stops'));
    await this.#loop;
    await this.#passes.idle();
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#pass();
      await sleep(this.ports.clock, LOOK_EVERY_MS, this.#stopping.signal);
    }
  }

  /** Never throws: what can't be now is tried again. */
  #pass(): Promise<void> {
    return this.#passes.run('pass', async () => {
      if (this.#stopping.signal.aborted) return;
      const { settings, ports } = this;
      await this.#keep('fence-listener', settings.files.fence, async (found) => {
        const orderTokens = asksForTokens(this.#orderTokens, found);
        return listenerProgram(settings, { orderTokens });
      });
      await this.#keep('fence-door', settings.files.door, async () =>
        doorProgram(settings, await ports.identityMark()),
      );
    });
  }

  async #keep(
    name: string,
    file: string,
    wish: (found: FoundProgram | undefined) => Promise<BackgroundProgram>,
  ): Promise<void> {
    const { clock, programs, random } = this.ports;
    const care = this.#careOf(name);
    try {
      const found = await programs.find({ name, file });
      const wanted = await wish(found);
      if (found !== undefined && fits(found, wanted)) {
        if (clock.monotonicMs() - care.startedMs > SETTLED_MS) care.failures = 0;
        this.#tell(name, care, { state: 'runs', pid: found.pid });
        return;
      }
      if (found !== undefined) await programs.end(found);
      else if (clock.monotonicMs() < care.notBeforeMs) return;
      // One that ends again and again is started ever less often; the first start is not late.
      care.failures += 1;
      care.startedMs = clock.monotonicMs();
      care.notBeforeMs = care.startedMs + pauseMs(care.failures, random.unit());
      await programs.start(wanted);
      this.#tell(name, care, { state: 'started' });
    } catch (error) {
      this.#tell(name, care, { state: 'fails', why: messageOf(error) });
    }
  }

  #careOf(name: string): Care {
    const care = this.#cares.get(name) ?? { failures: 0, notBeforeMs: 0, startedMs: 0, told: '' };
    this.#cares.set(name, care);
    return care;
  }

  /** Once for each change. */
  #tell(name: string, care: Care, facts: Record<string, string | number>): void {
    const told = JSON.stringify(facts);
    if (told === care.told) return;
    care.told = told;
    const { log } = this.ports;
    const about = { program: name, port: this.port, ...facts };
    if (facts['state'] === 'fails') log.warn('second way in', about);
    else log.info('second way in', about);
  }
}
