import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { rmSync } from 'node:fs';
import { LabError, messageOf } from './labError.js';

/** One request per connection: a line of JSON there, a line of JSON back. */
interface Reply {
  readonly result?: unknown;
  readonly error?: string;
}

export type RpcHandler = (request: unknown, gone: AbortSignal) => Promise<unknown>;

const maxRequestBytes = 1 << 20;

/** Listens on a unix socket that only its owner may use. `gone` fires if the caller leaves early. */
export function serveRpc(socketPath: string, handler: RpcHandler): Promise<Server> {
  rmSync(socketPath, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, handler));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: socketPath }, () => resolve(server));
  });
}

function serve(socket: Socket, handler: RpcHandler): void {
  const gone = new AbortController();
  let [text, answered] = ['', false];
  socket.setEncoding('utf8').on('error', () => undefined);
  socket.on('close', () => gone.abort(new LabError('The caller is gone.')));
  socket.on('data', (part: string) => {
    text += part;
    if (text.length > maxRequestBytes) socket.destroy();
    if (answered || !text.includes('\n')) return;
    answered = true;
    void reply(socket, () => handler(JSON.parse(text), gone.signal));
  });
}

async function reply(socket: Socket, work: () => Promise<unknown>): Promise<void> {
  let answer: Reply;
  try {
    answer = { result: (await work()) ?? null };
  } catch (error) {
    answer = { error: messageOf(error) };
  }
  socket.end(`${JSON.stringify(answer)}\n`);
}

/**
 * Asks over a unix socket.
 * @throws LabError with the server's words, or if nobody answers in time.
 */
export function callRpc(socketPath: string, request: unknown, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path: socketPath });
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (why: string) => finish(() => reject(new LabError(why)));
    const timer = setTimeout(
      () => fail(`The lab did not answer within ${timeoutMs} ms.`),
      timeoutMs,
    );
    socket.on('error', (error) => fail(`The lab cannot be reached (${error.message}).`));
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    socket.on('end', () => finish(() => settle(text, resolve, reject)));
  });
}

function settle(
  text: string,
  resolve: (result: unknown) => void,
  reject: (error: LabError) => void,
): void {
  if (!text.endsWith('\n')) return reject(new LabError('The lab ended before it answered.'));
  const answer = JSON.parse(text) as Reply;
  if (answer.error === undefined) resolve(answer.result);
  else reject(new LabError(answer.error));
}
