import { isoNow, type Clock, type MonotonicMs } from '@fenceline/common';
import { LINE_WAYS, type FenceLineState, type LineWay } from '@fenceline/protocol';
import type { HostPresence } from '../../hosts/contracts.js';
import type { Events } from '../../telemetry/events.js';

/** A host without a standing line for so long is an alarm, ms. */
const ALARM_AFTER_MS = 120_000;

/** The way from one keeper to a host, as it told its lines there in the last heartbeat. */
export interface LineSeen {
  keeperUuid: string;
  /** The ways over which a line stands, best first. */
  ways: readonly LineWay[];
  /** Of the best one of its lines. */
  state: FenceLineState['state'];
  /** Of the last ping; null: none was answered. */
  roundTripMs: number | null;
  /** It stands and answers. */
  answers: boolean;
}

/** The lines to a host, of keepers whose heartbeats arrive, best first. */
export function linesTo(
  hostUuid: string,
  keepers: readonly string[],
  presence: Pick<HostPresence, 'linkUp' | 'lastHeartbeat'>,
): LineSeen[] {
  return keepers
    .filter((uuid) => uuid !== hostUuid && presence.linkUp(uuid))
    .flatMap((keeperUuid) => {
      const lines = presence.lastHeartbeat(keeperUuid)?.fenceLines ?? [];
      const own = lines.filter((one) => one.hostUuid === hostUuid).toSorted(byWay);
      const [best] = own;
      if (best === undefined) return [];
      const { state, roundTripMs = null } = best;
      const ways = own.filter((one) => one.state === 'standing').map(({ way }) => way);
      return [{ keeperUuid, ways, state, roundTripMs, answers: answersNow(best) }];
    })
    .toSorted(byUse);
}

function answersNow({ state, why }: FenceLineState): boolean {
  return state === 'standing' && why === undefined;
}

/** In the order in which a fence tries them: what answers, what stands, SSH before the door. */
function byWay(a: FenceLineState, b: FenceLineState): number {
  return (
    Number(answersNow(b)) - Number(answersNow(a)) ||
    Number(b.state === 'standing') - Number(a.state === 'standing') ||
    LINE_WAYS.indexOf(a.way) - LINE_WAYS.indexOf(b.way)
  );
}

/** Those that answer first, the quick ones before the slow ones. */
export function byUse(a: LineSeen, b: LineSeen): number {
  const late = Number.POSITIVE_INFINITY;
  return (
    Number(b.answers) - Number(a.answers) ||
    Number(b.state === 'standing') - Number(a.state === 'standing') ||
    compare(a.roundTripMs ?? late, b.roundTripMs ?? late) ||
    (a.keeperUuid < b.keeperUuid ? -1 : 1)
  );
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

interface Missing {
  sinceMs: MonotonicMs;
  sinceAt: string;
  told: boolean;
}

/** Tells people once when a host has had no standing line for a while, and once when it has again. */
export class LineWatch {
  readonly #missing = new Map<string, Missing>();

  constructor(private readonly deps: { clock: Clock; events: Events }) {}

  /** Since when the host has had none, if that has lasted; ISO 8601. */
  missingSince(hostUuid: string): string | undefined {
    const missing = this.#missing.get(hostUuid);
    return missing?.told === true ? missing.sinceAt : undefined;
  }

  /** @param stands undefined: nobody is asked to keep one. */
  async look(host: { uuid: string; name: string }, stands: boolean | undefined): Promise<void> {
    const { clock, events } = this.deps;
    const missing = this.#missing.get(host.uuid);
    if (stands !== false) {
      this.#missing.delete(host.uuid);
      if (missing?.told !== true || stands === undefined) return;
      const text = `host ${host.name} has a standing fence line again`;
      await events.record({ kind: 'fence.line.back', hostUuid: host.uuid, text });
      return;
    }
    const nowMs = clock.monotonicMs();
    if (missing === undefined) {
      this.#missing.set(host.uuid, { sinceMs: nowMs, sinceAt: isoNow(clock), told: false });
      return;
    }
    if (missing.told || nowMs - missing.sinceMs < ALARM_AFTER_MS) return;
    missing.told = true;
    const text =
      `host ${host.name} has no standing fence line: if it can't fork any more, or its sshd ` +
      'hangs, no sibling can fence it';
    await events.record({
      kind: 'fence.line.none',
      severity: 'warning',
      hostUuid: host.uuid,
      text,
    });
  }

  /** Of hosts that are not there any more. */
  forgetOthers(hostUuids: ReadonlySet<string>): void {
    for (const uuid of this.#missing.keys()) if (!hostUuids.has(uuid)) this.#missing.delete(uuid);
  }
}
