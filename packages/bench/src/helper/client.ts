import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { enterCommand, type Lab, type NodeName } from '@fenceline/lab';
import type { Done, Job, Reply, Request } from './jobs.js';

const PROGRAM = fileURLToPath(new URL('main.js', import.meta.url));
/** More than the helper's own limit. */
const LIMIT_MS = 150_000;

/** A program that measures inside one node of the lab. */
export class Helper {
  #next = 0;
  readonly #waiting = new Map<number, (reply: Reply) => void>();

  private constructor(
    private readonly child: ChildProcessByStdio<Writable, Readable, null>,
    private readonly node: string,
  ) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const reply = JSON.parse(line) as Reply;
      this.#waiting.get(reply.id)?.(reply);
    });
    child.stdin.on('error', () => undefined);
    child.on('close', () => {
      for (const [id, tell] of this.#waiting) tell({ id, error: 'the helper has ended' });
    });
  }

  /** Starts it; it ends when our side of its standard input does. */
  static async open(lab: Lab, node: NodeName): Promise<Helper> {
    const inner = { command: [process.execPath, PROGRAM], cwd: '/' };
    const [program = '', ...args] = await enterCommand(lab.paths, node, inner);
    return new Helper(spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] }), node);
  }

  /** @throws Error with the helper's words, or if it does not answer. */
  async do(job: Job): Promise<Done> {
    const id = (this.#next += 1);
    const reply = await new Promise<Reply>((resolve) => {
      const late = { id, error: 'the helper does not answer' };
      const timer = setTimeout(() => resolve(late), LIMIT_MS);
      this.#waiting.set(id, (told) => {
        clearTimeout(timer);
        resolve(told);
      });
      const request: Request = { id, job };
      this.child.stdin.write(`${JSON.stringify(request)}\n`);
    });
    this.#waiting.delete(id);
    if ('done' in reply) return reply.done;
    throw new Error(`${this.node}: ${job.do}: ${reply.error}`);
  }

  close(): void {
    this.child.stdin.end();
  }
}
