import type { Duplex } from 'node:stream';
import { LabError } from './labError.js';
import { within } from './limits.js';

interface Question {
  readonly lines: string[];
  readonly resolve: (lines: string[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A line-based conversation with one of the native helpers. Questions are answered in order; a
 * line for which `isEvent` holds is no answer.
 */
export class LineChannel {
  private readonly questions: Question[] = [];
  private readonly listeners = new Set<(line: string) => void>();
  private rest = '';
  private closed = false;

  constructor(
    private readonly stream: Duplex,
    private readonly isEvent: (line: string) => boolean,
  ) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => this.take(text));
    stream.on('error', () => this.end());
    stream.on('close', () => this.end());
  }

  onEvent(listener: (line: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Waits for one event line. */
  event(wanted: (line: string) => boolean, limitMs: number, what: string): Promise<string> {
    const forget: (() => void)[] = [];
    const seen = new Promise<string>((resolve) => {
      forget.push(this.onEvent((line) => wanted(line) && resolve(line)));
    });
    return within(limitMs, what, seen).finally(() => forget[0]?.());
  }

  /**
   * Asks; resolves with the lines that came before the final "ok" or "done".
   * @throws LabError if the answer is anything else, late (5 s), or never comes.
   */
  ask(line: string): Promise<string[]> {
    if (this.closed) return Promise.reject(new LabError('The helper process is gone.'));
    const answer = new Promise<string[]>((resolve, reject) => {
      this.questions.push({ lines: [], resolve, reject });
    });
    this.stream.write(`${line}\n`);
    return within(5_000, `'${line.split(' ', 2).join(' ')}'`, answer);
  }

  close(): void {
    this.stream.destroy();
  }

  private take(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      if (this.isEvent(line)) for (const listener of this.listeners) listener(line);
      else this.answer(line);
    }
  }

  private answer(line: string): void {
    const question = this.questions[0];
    if (!question) return;
    const final = line === 'ok' || line === 'done';
    if (!final && line.startsWith('service ')) {
      question.lines.push(line);
      return;
    }
    this.questions.shift();
    if (final) question.resolve(question.lines);
    else question.reject(new LabError(line.replace(/^error /, '')));
  }

  private end(): void {
    this.closed = true;
    for (const question of this.questions.splice(0)) {
      question.reject(new LabError('The helper process ended before it answered.'));
    }
  }
}
