import { spawn, type ChildProcess } from 'node:child_process';
import type { Clock } from '@fenceline/common';
import { programArguments, programFiles, type ProgramSettings } from '../programCommand.js';
import type { FenceProgramRunner, ProgramSession } from '../programSession.js';
import { LineSession } from './lineSession.js';

export interface LocalProgramOptions extends ProgramSettings {
  clock: Clock;
  /** Searched for virsh and friends; the program's own default if absent. */
  path?: string;
}

/** Runs the installed fence program as a child, without a shell and in a group of its own. */
export function localProgram(options: LocalProgramOptions): FenceProgramRunner {
  const [inMemory, onDisk] = programFiles(options);
  return {
    start: async (limits) => {
      // As the forced command does it: the one on disk where there is none in memory.
      const child = await started(options, inMemory).catch(() => started(options, onDisk));
      return childSession(child, { ...limits, clock: options.clock });
    },
  };
}

function started(options: LocalProgramOptions, file: string): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    // Its own agent needs no order token: who can start this is root here already.
    const child = spawn(file, programArguments(options, { orderTokens: false }), {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      cwd: '/',
      env: options.path === undefined ? {} : { FENCELINE_PATH: options.path },
    });
    child.once('error', reject);
    child.once('spawn', () => {
      child.off('error', reject);
      resolve(child);
    });
  });
}

function childSession(
  child: ChildProcess,
  { maxOutputBytes, limitMs, clock }: { maxOutputBytes: number; limitMs: number; clock: Clock },
): ProgramSession {
  const timer = clock.after(limitMs, () => session.close());
  const session = new LineSession({
    maxOutputBytes,
    write: (line) => void child.stdin?.write(line),
    endInput: () => child.stdin?.end(),
    destroy: () => {
      timer.cancel();
      // The program hears the end of its input too late; TERM lets it stop its helpers first.
      child.kill('SIGTERM');
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
    },
  });
  child.stdin?.on('error', () => undefined);
  child.stdout?.on('data', (chunk: Buffer) => session.stdout(chunk));
  child.stderr?.on('data', (chunk: Buffer) => session.stderr(chunk));
  child.on('error', () => session.end({ kind: 'closed' }));
  // 'exit' may come before the last data; 'close' waits for helpers that hold the output open.
  child.on('close', (code, signal) => {
    timer.cancel();
    if (signal !== null) session.end({ kind: 'signal', signal });
    else session.end(code === null ? { kind: 'closed' } : { kind: 'exit', code });
  });
  return session;
}
