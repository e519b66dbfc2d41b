import type { DetectSettings } from '../../settings/settings.js';
import type { LinkGlance } from './selfCheck.js';
import { noJitter, quietness, silentAfterMs, withGap, type Jitter, type Quiet } from './silence.js';

/**
 * What the server knows of its way to one host. All times are watchful ms: monotonic time without
 * the moments in which this server itself stood still (D3).
 */
export class Link {
  /** `new`: nothing came yet since tracking began. */
  state: 'new' | 'up' | 'down' = 'new';
  /** The newest news is a refusal: something there is alive enough to refuse. */
  refusing = false;
  #lastBeatMs: number | undefined;
  #jitter: Jitter = noJitter;
  #refusals = 0;

  constructor(
    /** Of anything that came from its agent; the start of tracking before. */
    public lastHeardMs: number,
    /** It was up before this server started. */
    readonly wasUpBefore: boolean,
  ) {}

  /** Refused attempts in a row since it was heard last. */
  get refusals(): number {
    return this.#refusals;
  }

  heard(nowMs: number): void {
    this.lastHeardMs = nowMs;
    this.#refusals = 0;
    this.refusing = false;
  }

  /** A heartbeat of the stream: the gap to the one before says how regular they are. */
  beat(nowMs: number): void {
    if (this.#lastBeatMs !== undefined)
      this.#jitter = withGap(this.#jitter, Math.max(0, nowMs - this.#lastBeatMs));
    this.#lastBeatMs = nowMs;
  }

  /** A gap between two streams says nothing about the regularity of either. */
  streamEnded(): void {
    this.#lastBeatMs = undefined;
  }

  refused(): void {
    this.#refusals += 1;
    this.refusing = true;
  }

  limitMs(detect: DetectSettings): number {
    return silentAfterMs(detect, this.#jitter);
  }

  quiet(nowMs: number, detect: DetectSettings): Quiet {
    // Heard before a stall was noticed: the stall was then taken off the clock.
    this.lastHeardMs = Math.min(this.lastHeardMs, nowMs);
    const { heartbeatEveryMs } = detect;
    const silentLimitMs = this.limitMs(detect);
    return quietness(nowMs - this.lastHeardMs, { heartbeatEveryMs, silentLimitMs });
  }

  glance(nowMs: number, detect: DetectSettings): Omit<LinkGlance, 'hostUuid'> {
    const answering = this.state !== 'down' && this.quiet(nowMs, detect) === 'alive';
    const mute = this.refusing ? 'refusing' : 'quiet';
    return {
      wasUp: this.wasUpBefore || this.state !== 'new',
      now: answering ? 'answering' : mute,
      lastHeardMs: this.lastHeardMs,
    };
  }
}
