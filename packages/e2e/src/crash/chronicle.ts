/** What happened to the runs of the VM, in order, as the hosts saw it. */
export interface Entry {
  /** Since the chronicle began, milliseconds. */
  atMs: number;
  host: string;
  what:
    /** A start command came in; what became of it follows. */
    | 'startAsked'
    | 'startRefused'
    /** A qemu of this run lives. */
    | 'began'
    /** It is gone. */
    | 'ended'
    /** Somebody asked for everything up to this epoch to be closed here. */
    | 'fenceAsked'
    /** Somebody was told that every run up to this epoch is over here, or never began. */
    | 'toldOver'
    | 'toldAlive';
  epoch: number;
  /** A start's proofs: epoch and digest of each closed run. */
  proofs?: readonly { epoch: number; proofDigest: string }[];
}

/** Kept by the test's own process: it survives every death of the server. */
export class Chronicle {
  readonly entries: Entry[] = [];
  readonly #beganMs = performance.now();

  add(entry: Omit<Entry, 'atMs'>): void {
    this.entries.push({ atMs: Math.round(performance.now() - this.#beganMs), ...entry });
  }
}

/** For people. */
export function tell(entries: readonly Entry[]): string[] {
  return entries.map(({ atMs, host, what, epoch }) => `${atMs} ms ${host}: ${what} run ${epoch}`);
}
