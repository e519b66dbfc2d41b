/** A program that runs beside the agent and outlives it. */
export interface BackgroundProgram {
  /** Short name, the same in every life of the agent. */
  name: string;
  file: string;
  args: readonly string[];
  /** Digest of what it reads when it starts; another one means: start it anew. */
  mark: string;
}

/** One that was found alive. */
export interface FoundProgram {
  pid: number;
  /** Field 22 of /proc/PID/stat. */
  startTime: number;
  args: readonly string[];
  mark: string;
  /** What it runs is the file that is installed there now. */
  isInstalled: boolean;
}

/** Programs of this host that outlive the agent. */
export interface BackgroundPrograms {
  /** The one that runs under this name, whoever started it; undefined: none. */
  find(program: Pick<BackgroundProgram, 'name' | 'file'>): Promise<FoundProgram | undefined>;
  /**
   * Starts it, apart from this process and its group; resolves when it says that it listens.
   * @throws Error in its own words, if it ends before that or takes too long; nothing of it is left.
   */
  start(program: BackgroundProgram): Promise<void>;
  /** Ends that one: TERM, then KILL; resolves when it is gone. @throws Error if it doesn't go. */
  end(found: FoundProgram): Promise<void>;
}
