/** One life of a qemu, as a disk saw it. */
interface Writer {
  readonly host: string;
  readonly bootId: string;
  readonly pid: number;
}

/** What the checker is given: nothing of the software under test, only what disks have seen. */
export interface DiskRecords {
  readonly source: string;
  readonly writes: readonly {
    readonly writer: Writer;
    readonly issuedAtMs: number;
    readonly atMs: number;
  }[];
  readonly opens: readonly {
    readonly writer: Writer;
    readonly fromMs: number;
    readonly toMs: number | undefined;
  }[];
}

/** The checker's word about one disk (I1). */
export interface DiskVerdict {
  readonly verdict: 'oneWriter' | 'twoWriters' | 'lateWrite' | 'noData';
  /** Most processes that held the disk open for writing at one moment. */
  readonly liveWriters: number;
  /** Lives that ever wrote, in order. */
  readonly lives: number;
  /** Why it is not one writer, one sentence each. */
  readonly reasons: readonly string[];
}

/** Bound on the reasons of one verdict. */
const MOST_REASONS = 5;

/**
 * Decides from a disk's own records whether it ever had two writers: two processes that could
 * write at one moment, or a write of an older life after a newer one began. Shares no code with
 * management, agent or the fence program.
 */
export function checkDisk({ source, writes, opens }: DiskRecords): DiskVerdict {
  const lives = opens.toSorted((a, b) => a.fromMs - b.fromMs);
  const together = overlaps(lives);
  const late = lateWrites(lives, writes);
  const first =
    together.length > 0 ? 'twoWriters' : late.length > 0 ? 'lateWrite' : ('oneWriter' as const);
  return {
    verdict: writes.length === 0 ? 'noData' : first,
    liveWriters: mostAtOnce(lives),
    lives: new Set(writes.map(({ writer }) => nameOf(writer))).size,
    reasons: [...together, ...late].slice(0, MOST_REASONS).map((text) => `${source}: ${text}`),
  };
}

type Opens = DiskRecords['opens'];

function overlaps(lives: Opens): string[] {
  return lives.flatMap((newer, i) =>
    lives
      .slice(0, i)
      .filter((older) => older.toMs === undefined || older.toMs > newer.fromMs)
      .map(
        (older) =>
          `${nameOf(newer.writer)} began at ${seconds(newer.fromMs)} while ` +
          `${nameOf(older.writer)} could still write`,
      ),
  );
}

/** A write that reached the disk after a newer life began, whoever lived then. */
function lateWrites(lives: Opens, writes: DiskRecords['writes']): string[] {
  return writes.flatMap((write) => {
    const own = lives.find(({ writer }) => nameOf(writer) === nameOf(write.writer));
    const newer = lives.find(
      (life) => own !== undefined && life.fromMs > own.fromMs && life.fromMs <= write.atMs,
    );
    if (newer === undefined) return [];
    const how =
      write.issuedAtMs < newer.fromMs
        ? `a late write, issued ${seconds(write.issuedAtMs)}`
        : 'live';
    return [
      `${nameOf(write.writer)} wrote at ${seconds(write.atMs)} (${how}) after ` +
        `${nameOf(newer.writer)} had begun at ${seconds(newer.fromMs)}`,
    ];
  });
}

function mostAtOnce(lives: Opens): number {
  const counts = lives.map(
    ({ fromMs }) =>
      lives.filter(
        (other) => other.fromMs <= fromMs && (other.toMs === undefined || other.toMs > fromMs),
      ).length,
  );
  return Math.max(0, ...counts);
}

function nameOf({ host, bootId, pid }: Writer): string {
  return `qemu ${pid} on ${host} (boot ${bootId.slice(0, 8)})`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`;
}
