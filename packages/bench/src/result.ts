import { summarize, type Summary } from './statistics.js';

/** What a benchmark is run on; no name and no path of it. */
export interface Machine {
  readonly cpus: number;
  readonly cpuModel: string;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Load average over one minute, before and after: others' work on the same machine. */
  readonly load1: readonly [number, number];
}

/** What a benchmark gives to programs. */
export interface BenchResult {
  readonly name: string;
  readonly runs: number;
  readonly series: Readonly<Record<string, Summary>>;
  readonly ratios: Readonly<Record<string, number>>;
  readonly machine: Machine;
}

/** A ratio that somebody promised. */
export interface Goal {
  readonly ratio: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** What a benchmark has measured: milliseconds by label, in the order of the table. */
export class Measured {
  readonly #values = new Map<string, number[]>();

  add(label: string, ms: number): void {
    const values = this.#values.get(label) ?? [];
    values.push(ms);
    this.#values.set(label, values);
  }

  has(label: string): boolean {
    return this.#values.has(label);
  }

  /** @throws RangeError for a label without values. */
  summary(label: string): Summary {
    return summarize(this.#values.get(label) ?? []);
  }

  series(): Record<string, Summary> {
    return Object.fromEntries(
      [...this.#values.keys()].map((label) => [label, this.summary(label)]),
    );
  }
}

/** The result as a table for people. */
export function renderTable(result: BenchResult, goals: readonly Goal[] = []): string {
  const head = ['', 'median ms', 'p95 ms', 'n'];
  const rows = Object.entries(result.series).map(([label, { medianMs, p95Ms, n }]) => [
    label,
    medianMs.toFixed(1),
    p95Ms.toFixed(1),
    String(n),
  ]);
  const ratios = Object.entries(result.ratios).map(([label, value]) => [
    label,
    `${value}x`,
    ...verdictOf(
      value,
      goals.filter(({ ratio }) => ratio === label),
    ),
  ]);
  const { machine } = result;
  return [
    ...columns([head, ...rows]),
    '',
    ...columns(ratios),
    '',
    `${machine.cpus} CPUs (${machine.cpuModel}), ${machine.memoryMiB} MiB, Linux ${machine.kernel}, ` +
      `load ${machine.load1.join(' to ')}`,
    Object.entries(machine.versions)
      .map(([what, version]) => `${what} ${version}`)
      .join(', '),
  ].join('\n');
}

/** Whether a ratio is what was promised. */
export function isMet(value: number, { atMost, atLeast }: Goal): boolean {
  return (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast);
}

function verdictOf(value: number, goals: readonly Goal[]): string[] {
  return goals.map((goal) => {
    const limits = [
      ...(goal.atMost === undefined ? [] : [`at most ${goal.atMost}x`]),
      ...(goal.atLeast === undefined ? [] : [`at least ${goal.atLeast}x`]),
    ];
    return `goal ${limits.join(', ')}: ${isMet(value, goal) ? 'met' : 'MISSED'}`;
  });
}

/** The first column to the left, numbers to the right, words behind them to the left. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2, 3].map((i) => Math.max(0, ...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) =>
        /^[\d.]+x?$|ms$|^n$/.test(cell) && i > 0
          ? cell.padStart(widths[i] ?? 0)
          : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** A comparison that can be run by its name. */
export interface Benchmark {
  readonly usualRuns: number;
  readonly goals: readonly Goal[];
  /** Measures, and leaves nothing behind. @throws Error if a side did not do what it is measured at. */
  readonly run: (
    runs: number,
    tell: (sentence: string) => void,
  ) => Promise<{ measured: Measured; ratios: Record<string, number> }>;
}
