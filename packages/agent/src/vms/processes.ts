/** A qemu in the process table. */
export interface QemuProcess {
  pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since boot: pid and start time name a process. */
  startTime: number;
  /** From `-uuid`; undefined if the arguments don't say (a zombie leader has none). */
  vmUuid: string | undefined;
  /** From `guest=` in `-name`. */
  guestName: string | undefined;
  /** From the run mark (F35); null if it bears none. */
  epoch: number | null;
  /** Its leader has ended and other threads of it have not: it may still write. */
  dying: boolean;
}

/** The process table of this host. */
export interface Processes {
  /**
   * Every qemu that lives, in one pass. A process with state Z and one task is dead (F21).
   * @throws Error if the pass could not look: it must see pid 1 and itself, and only "no such
   * process" counts as gone.
   */
  qemus(): Promise<QemuProcess[]>;
  /** Start time of a process that lives; undefined if it is gone. @throws as `qemus`. */
  startTimeOf(pid: number): Promise<number | undefined>;
}
