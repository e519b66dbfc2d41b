import type { NeighbourSign, Way } from './signsOfLife.js';

/** `ip -j route get ADDRESS`: how packets leave; undefined if it can't be told. */
export function parseRouteGet(stdout: string): Way | undefined {
  const [route] = parseRows(stdout);
  const device = route?.['dev'];
  if (typeof device !== 'string') return undefined;
  const gateway = route?.['gateway'];
  return typeof gateway === 'string' ? { device, gateway } : { device };
}

/** States in which the kernel asked and nobody answered. */
const FAILED = new Set(['FAILED', 'INCOMPLETE']);

/** `ip -j neigh show to ADDRESS dev DEVICE`, after a forced probe. */
export function parseNeighbour(stdout: string): NeighbourSign {
  const states = parseRows(stdout).flatMap((row) =>
    Array.isArray(row['state']) ? row['state'].filter((one) => typeof one === 'string') : [],
  );
  if (states.includes('REACHABLE')) return 'reachable';
  // safety: no entry, STALE, DELAY and PROBE say nothing yet: only a probe without an answer counts
  return states.length > 0 && states.every((state) => FAILED.has(state)) ? 'failed' : 'unknown';
}

/** What an entry says after `probed`: was it asked by force since the look began? */
export function signOfEntry(seen: NeighbourSign, probed: boolean): NeighbourSign {
  // safety: F23: an entry that was learnt before may be 30 s old; only an answer to a probe is a sign
  return seen === 'reachable' && !probed ? 'unknown' : seen;
}

function parseRows(stdout: string): Record<string, unknown>[] {
  try {
    const rows: unknown = JSON.parse(stdout);
    return Array.isArray(rows) ? rows.filter(isRow) : [];
  } catch {
    return [];
  }
}

function isRow(row: unknown): row is Record<string, unknown> {
  return typeof row === 'object' && row !== null && !Array.isArray(row);
}
