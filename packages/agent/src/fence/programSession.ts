/** How the program's session came to its end. */
export type SessionEnd =
  /** The program exited by itself. */
  | { kind: 'exit'; code: number }
  /** A signal ended it, or the shell said so (137). */
  | { kind: 'signal'; signal: string }
  /** The channel or the connection closed and nobody said why. */
  | { kind: 'closed' }
  /** More output than the limit; reading stopped. */
  | { kind: 'tooMuchOutput' };

/** What came from the other side, as far as it may leave this host (F28). */
export interface OutputSummary {
  stdoutBytes: number;
  stderrBytes: number;
  /** SHA-256 of standard output, then of standard error, hex; '' if nothing came. */
  sha256: string;
}

/** The fence program at work, here or on another host: lines in, lines out. */
export interface ProgramSession {
  /** Sends one line. Never throws and never waits; lost if the session has ended. */
  writeLine(line: string): void;
  /**
   * No line will follow: a program that can serve several orders ends after this one. Never throws
   * and never waits.
   */
  endInput(): void;
  /** Bytes and digest of the output are counted anew from here, up to this bound: the next order. */
  countAnew(maxOutputBytes: number): void;
  /**
   * The next line, or undefined when no more will come. One caller at a time. Waits without limit
   * of its own: `close` settles it.
   */
  nextLine(): Promise<string | undefined>;
  /** Settles when the session is over, also after `close`. Never rejects. */
  readonly ended: Promise<SessionEnd>;
  /** Ends the session and everything of it on this side, at once. Repeating is harmless. */
  close(): void;
  /** What has come so far, since `countAnew` if it was called. */
  output(): OutputSummary;
}

/** Starts the installed fence program on this very host. */
export interface FenceProgramRunner {
  /**
   * The running program. `maxOutputBytes` bounds what is read. It has ended, and what it started
   * with it, when `limitMs` is over or the session was closed.
   * @throws Error if it can't be started.
   */
  start(options: { maxOutputBytes: number; limitMs: number }): Promise<ProgramSession>;
}
