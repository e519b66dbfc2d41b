/** What the server saw of one host's link, for comparing hosts of one cluster with each other. */
export interface LinkGlance {
  hostUuid: string;
  /** It was up before, since this server started or by its row. */
  wasUp: boolean;
  /**
   * `answering`: heard within one and a half intervals; `quiet`: not heard since, for whatever
   * reason is not known; `refusing`: something there refuses connections, so the way to it works.
   */
  now: 'answering' | 'quiet' | 'refusing';
  /** When it was heard last, in watchful ms. */
  lastHeardMs: number;
}

/**
 * D3: whose fault the silence of `suspectUuid` is. If every host of its cluster that was up, at
 * least two, fell quiet at about the same moment, the server's own network is blamed first: nobody
 * is judged dead by silence alone while all are silent together.
 * @param togetherMs how far apart the last signs may be and still count as one moment.
 */
export function ownNetworkFirst(
  glances: readonly LinkGlance[],
  suspectUuid: string,
  togetherMs: number,
): boolean {
  const suspect = glances.find(({ hostUuid }) => hostUuid === suspectUuid);
  if (suspect === undefined || suspect.now !== 'quiet') return false;
  const known = glances.filter(({ wasUp }) => wasUp);
  // One that answers, or refuses, proves that the server's own link works.
  if (known.some(({ now }) => now !== 'quiet')) return false;
  const together = known.filter(
    ({ lastHeardMs }) => Math.abs(lastHeardMs - suspect.lastHeardMs) <= togetherMs,
  );
  return together.length >= 2;
}

/** A tick that comes this much late says that the event loop stood still, ms. */
export const STALL_MS = 300;

/** D3: how long the server itself was blind, by how late its own tick came; 0 for a usual delay. */
export function stalledMs(dueMs: number, nowMs: number): number {
  const lateMs = nowMs - dueMs;
  return lateMs >= STALL_MS ? lateMs : 0;
}
