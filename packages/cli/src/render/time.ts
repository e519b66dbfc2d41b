/** A duration for people: `0.3 s`, `12 s`, `4 min 10 s`, `3 h 5 min`, `2 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const from = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(from === -1 ? 3 : from, from === -1 ? 4 : from + 2)
    .filter(([count], i) => count > 0 || i === 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/** `12 s ago`, `in 2 min`, or `-` for no time. */
export function relative(iso: string | null | undefined, nowMs: number): string {
  if (iso === null || iso === undefined) return '-';
  const ms = nowMs - Date.parse(iso);
  if (Number.isNaN(ms)) return '-';
  return ms >= 0 ? `${duration(ms)} ago` : `in ${duration(-ms)}`;
}

/** `2026-01-01 00:00:09` of an ISO time, as it stands: UTC. */
export function shortTime(iso: string): string {
  return iso.replace('T', ' ').replace(/(?:\.\d+)?Z$/, '');
}

/** `00:00:09.123` */
export function clockTime(iso: string): string {
  return iso.slice(11).replace(/Z$/, '');
}
