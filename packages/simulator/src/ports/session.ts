import { createHash } from 'node:crypto';
import type { OutputSummary, ProgramSession, SessionEnd } from '@fenceline/agent';
import type { Clock } from '@fenceline/common';
import { fenceProgram } from '../program/fenceProgram.js';
import type { SimHost } from '../world/host.js';
import { deferred } from '../world/deferred.js';
import { clockOf } from '../world/life.js';
import type { Connection } from './connection.js';

interface Reader {
  lines: string[];
  waiter: ((line: string | undefined) => void) | undefined;
  over: boolean;
}

/** How lines travel within one host. */
export const atHome: Connection = {
  there: (action) => action(),
  back: (action) => action(),
  close: () => undefined,
};

/** The fence program at work on a host, seen from the one that started it. */
export function startProgram(
  host: SimHost,
  wires: Connection,
  { clock, orderTokens }: { clock: Clock; orderTokens: boolean },
): ProgramSession {
  const input = makeReader();
  const output = makeReader();
  const text: string[] = [];
  const { promise: ended, resolve: settle } = deferred<SessionEnd>();
  const life = host.newLife(`fence program on ${host.name}`);
  const end = (how: SessionEnd): void => {
    settle(how);
    finish(output);
  };
  const io = {
    next: () => life.answer(read(input)),
    say: (line: string) =>
      wires.back(() => {
        text.push(line);
        feed(output, line);
      }),
  };
  void fenceProgram(io, host, { clock: clockOf(life, clock), orderTokens }).then((code) => {
    life.end();
    wires.back(() => end({ kind: 'exit', code }));
  });
  return {
    writeLine: (line) => wires.there(() => feed(input, line)),
    endInput: () => wires.there(() => finish(input)),
    countAnew: () => void (text.length = 0),
    nextLine: () => read(output),
    ended,
    // A peer that goes away does not stop a fence that has begun; its deadline does.
    close: () => {
      wires.there(() => finish(input));
      wires.close();
      end({ kind: 'closed' });
    },
    output: () => summary(text),
  };
}

function makeReader(): Reader {
  return { lines: [], waiter: undefined, over: false };
}

function read(reader: Reader): Promise<string | undefined> {
  const line = reader.lines.shift();
  if (line !== undefined || reader.over) return Promise.resolve(line);
  return new Promise((resolve) => (reader.waiter = resolve));
}

function feed(reader: Reader, line: string): void {
  if (reader.over) return;
  const { waiter } = reader;
  reader.waiter = undefined;
  if (waiter === undefined) reader.lines.push(line);
  else waiter(line);
}

function finish(reader: Reader): void {
  reader.over = true;
  reader.waiter?.(undefined);
  reader.waiter = undefined;
}

function summary(lines: readonly string[]): OutputSummary {
  const text = lines.map((line) => `${line}\n`).join('');
  return {
    stdoutBytes: text.length,
    stderrBytes: 0,
    sha256: text === '' ? '' : createHash('sha256').update(text).digest('hex'),
  };
}
