import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import {
  TransportError,
  type CallOptions,
  type RawAnswer,
  type Transport,
  type TransportFailure,
  type TransportRequest,
} from '@fenceline/protocol';
import { nodeEnvironment } from '../plan/environment.js';

export interface BridgeRequest {
  id: number;
  request: TransportRequest;
  deadlineMs: number;
}

export type BridgeAnswer =
  { id: number; answer: RawAnswer } | { id: number; failure: TransportFailure; message: string };

/** More than the bridge's own limit, in case it dies. */
const MARGIN_MS = 2_000;
const ENDED = 'the way to the API has ended';

/** The API of the server on `mgr`, called through a program that runs there. */
export class ApiTransport implements Transport {
  #next = 0;
  #ended = false;
  readonly #waiting = new Map<number, (said: BridgeAnswer) => void>();

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line) as BridgeAnswer;
      this.#waiting.get(said.id)?.(said);
    });
    child.on('close', () => {
      this.#ended = true;
      for (const [id, tell] of this.#waiting) tell({ id, failure: 'other', message: ENDED });
    });
  }

  /** @param command runs the bridge on `mgr`. */
  static open([program = '', ...args]: readonly string[]): ApiTransport {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: nodeEnvironment(),
    });
    child.stderr.resume();
    return new ApiTransport(child);
  }

  async send(request: TransportRequest, { deadlineMs }: CallOptions): Promise<RawAnswer> {
    if (this.#ended) throw new TransportError('other', ENDED);
    const id = (this.#next += 1);
    const said = await new Promise<BridgeAnswer>((resolve) => {
      const late = {
        id,
        failure: 'timeout' as const,
        message: `no answer within ${deadlineMs} ms`,
      };
      const timer = setTimeout(() => resolve(late), deadlineMs + MARGIN_MS);
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.child.stdin.write(`${JSON.stringify({ id, request, deadlineMs })}\n`);
    });
    this.#waiting.delete(id);
    if ('answer' in said) return said.answer;
    throw new TransportError(said.failure, said.message);
  }

  /** Ends the program on `mgr`. */
  close(): void {
    this.child.stdin.end();
  }
}
