import { createHash } from 'node:crypto';
import { LineBuffer } from '@fenceline/common';
import type { OutputSummary, ProgramSession, SessionEnd } from '../programSession.js';
import { deferred } from './deferred.js';

/** Longest line of an answer: a disk's name, encoded. */
const MAX_LINE_CHARS = 8_192;

export interface LineSessionOptions {
  maxOutputBytes: number;
  write: (line: string) => void;
  /** The other side sees the end of its input. */
  endInput: () => void;
  /** Ends everything of the session on this side; called once. */
  destroy: () => void;
}

/** A session whose bytes are fed in by an adapter: bounded, line by line, summed up (F25, F28). */
export class LineSession implements ProgramSession {
  readonly ended: Promise<SessionEnd>;
  readonly #end: (how: SessionEnd) => void;
  readonly #options: LineSessionOptions;
  readonly #lines: string[] = [];
  readonly #buffer = new LineBuffer(MAX_LINE_CHARS);
  #streams = newStreams();
  #maxOutputBytes: number;
  #waiter: ((line: string | undefined) => void) | undefined;
  #over = false;
  #destroyed = false;

  constructor(options: LineSessionOptions) {
    this.#options = options;
    this.#maxOutputBytes = options.maxOutputBytes;
    const { promise, resolve } = deferred<SessionEnd>();
    this.ended = promise;
    this.#end = resolve;
  }

  /** Standard output of the program, as it comes. */
  stdout(chunk: Uint8Array): void {
    if (!this.#take('stdout', chunk)) return;
    try {
      this.#lines.push(...this.#buffer.push(chunk));
    } catch {
      this.#tooMuch();
      return;
    }
    if (this.#waiter === undefined || this.#lines.length === 0) return;
    this.#waiter(this.#lines.shift());
    this.#waiter = undefined;
  }

  stderr(chunk: Uint8Array): void {
    this.#take('stderr', chunk);
  }

  /** How it ended; the first call counts. */
  end(how: SessionEnd): void {
    this.#over = true;
    this.#end(how);
    this.#waiter?.(undefined);
    this.#waiter = undefined;
  }

  writeLine(line: string): void {
    if (!this.#destroyed && !this.#over) this.#options.write(`${line}\n`);
  }

  endInput(): void {
    if (!this.#destroyed && !this.#over) this.#options.endInput();
  }

  countAnew(maxOutputBytes: number): void {
    this.#streams = newStreams();
    this.#maxOutputBytes = maxOutputBytes;
  }

  nextLine(): Promise<string | undefined> {
    const line = this.#lines.shift();
    if (line !== undefined || this.#over) return Promise.resolve(line);
    return new Promise((give) => (this.#waiter = give));
  }

  close(): void {
    this.end({ kind: 'closed' });
    this.#destroy();
  }

  output(): OutputSummary {
    const { stdout, stderr } = this.#streams;
    const both = createHash('sha256');
    for (const { hash } of [stdout, stderr]) both.update(hash.copy().digest());
    return {
      stdoutBytes: stdout.bytes,
      stderrBytes: stderr.bytes,
      sha256: stdout.bytes + stderr.bytes === 0 ? '' : both.digest('hex'),
    };
  }

  #take(name: 'stdout' | 'stderr', chunk: Uint8Array): boolean {
    if (this.#over) return false;
    const { stdout, stderr } = this.#streams;
    this.#streams[name].bytes += chunk.length;
    this.#streams[name].hash.update(chunk);
    if (stdout.bytes + stderr.bytes <= this.#maxOutputBytes) return true;
    this.#tooMuch();
    return false;
  }

  #tooMuch(): void {
    // safety: F25: hostile or broken output stops the session, it never fills this host's memory
    this.#lines.length = 0;
    this.end({ kind: 'tooMuchOutput' });
    this.#destroy();
  }

  #destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#options.destroy();
  }
}

function newStreams() {
  return {
    stdout: { hash: createHash('sha256'), bytes: 0 },
    stderr: { hash: createHash('sha256'), bytes: 0 },
  };
}
